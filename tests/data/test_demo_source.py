"""The demo data as a whole: what it holds, and that no surface feature gives it away."""

from collections import Counter
from dataclasses import replace

import pytest

from rmx.data.demo import DemoSource, bayes_accuracy
from rmx.data.demo.source import SPILLOVER_DOMAINS, TRAIN_DOMAINS
from rmx.data.demo.surface import FEATURES, greater_wins
from rmx.data.splits import split_by_prompt
from rmx.errors import ConfigError

DOMAINS = [*TRAIN_DOMAINS, *SPILLOVER_DOMAINS]


@pytest.fixture(scope="module")
def labelled():
    train, spillover = DemoSource().labelled()
    return train + spillover


@pytest.fixture(scope="module")
def groups(labelled):
    return [group for group, _ in labelled]


@pytest.fixture(scope="module")
def by_domain(groups):
    return {name: [g for g in groups if g.domain == name] for name in DOMAINS}


def test_load_gives_the_labelled_groups_again(groups):
    splits = DemoSource().load()
    assert splits.val is None
    assert splits.spillover is not None
    assert splits.train + splits.spillover == groups


def test_another_seed_asks_other_questions(groups):
    prompts = {g.prompt for g in groups}
    others = DemoSource(seed=1, num_groups=20, num_spillover_groups=20).load()
    assert len([g for g in others.train if g.prompt not in prompts]) > 40


def test_it_is_large_enough_and_in_enough_domains(by_domain):
    assert len(TRAIN_DOMAINS) >= 4
    assert len(SPILLOVER_DOMAINS) == 2
    assert sum(len(g.comparisons) for name in TRAIN_DOMAINS for g in by_domain[name]) >= 2000
    for groups in by_domain.values():
        assert sum(len(g.comparisons) for g in groups) >= 200


def test_training_holds_no_spillover_domain_and_no_text_of_it():
    splits = DemoSource().load()
    assert splits.spillover is not None
    assert {g.domain for g in splits.train} == set(TRAIN_DOMAINS)
    assert {g.domain for g in splits.spillover} == set(SPILLOVER_DOMAINS)
    texts = {text for g in splits.train for text in g.completions}
    assert not texts & {text for g in splits.spillover for text in g.completions}


def test_ids_prompts_and_completions_are_unique(groups):
    assert len({g.id for g in groups}) == len(groups)
    assert len({g.prompt for g in groups}) == len(groups)
    for g in groups:
        assert len(set(g.completions)) == len(g.completions)


def test_groups_have_two_to_four_completions_all_compared(groups):
    sizes = Counter(len(g.completions) for g in groups)
    assert set(sizes) == {2, 3, 4}
    assert sizes[4] > sizes[3] + sizes[2] > 0
    for g in groups:
        k = len(g.completions)
        assert len({frozenset((c.chosen, c.rejected)) for c in g.comparisons}) == k * (k - 1) / 2
        assert g.ratings is not None
        assert len(g.ratings) == k


def test_every_group_has_a_right_answer(labelled):
    assert all("correct" in kinds for _, kinds in labelled)


def test_no_text_holds_a_control_token(groups):
    for g in groups:
        for text in (g.prompt[0].content, *g.completions):
            assert "<|" not in text
            assert text.strip()


def test_ties_are_8_to_15_percent(by_domain):
    comparisons = [c for groups in by_domain.values() for g in groups for c in g.comparisons]
    assert 0.08 <= sum(c.is_tie for c in comparisons) / len(comparisons) <= 0.15


def test_the_best_possible_accuracy_is_high_but_not_one(groups):
    assert 0.95 <= bayes_accuracy(groups) < 0.99


def test_a_sixth_of_the_comparisons_is_right_against_subtly_wrong(labelled):
    pairs = Counter(
        frozenset((kinds[c.chosen], kinds[c.rejected]))
        for group, kinds in labelled
        for c in group.comparisons
        if not c.is_tie
    )
    assert 0.13 < pairs[frozenset({"correct", "wrong"})] / pairs.total() < 0.25


def test_longer_wins_half_the_time(groups, by_domain):
    assert greater_wins(groups, len) == pytest.approx(0.5, abs=0.05)
    for domain in DOMAINS:
        assert greater_wins(by_domain[domain], len) == pytest.approx(0.5, abs=0.08), domain


@pytest.mark.parametrize("name", FEATURES)
def test_no_surface_feature_separates_a_domain(name, by_domain):
    for domain, groups in by_domain.items():
        assert greater_wins(groups, FEATURES[name]) == pytest.approx(0.5, abs=0.12), domain


def test_no_single_word_marks_quality(by_domain):
    # "more of this word wins" and "less of it wins", for each word that is not too rare to matter
    for domain, groups in by_domain.items():
        counts = Counter(word for g in groups for t in g.completions for word in set(t.split()))
        for word, _ in counts.most_common(60):
            accuracy = greater_wins(groups, lambda text, word=word: text.split().count(word))
            assert accuracy == pytest.approx(0.5, abs=0.13), (domain, word)


def test_a_planted_marker_is_seen_by_the_surface_check(labelled):
    # the check itself can fail: a mark on the right answers alone is found
    marked = [
        replace(
            g,
            completions=tuple(
                text + "!" if kind == "correct" else text
                for text, kind in zip(g.completions, kinds, strict=True)
            ),
        )
        for g, kinds in labelled
    ]
    assert greater_wins(marked, FEATURES["punctuation"]) > 0.6


def test_prompts_can_be_split_for_validation(groups):
    train = [g for g in groups if g.domain in TRAIN_DOMAINS]
    fit, held = split_by_prompt(train, fraction=0.15, seed=0)
    assert {g.domain for g in held} == set(TRAIN_DOMAINS)
    assert not {t for g in fit for t in g.completions} & {t for g in held for t in g.completions}


@pytest.mark.parametrize("number", [0, -1, 100_000])
def test_more_groups_than_there_are_texts_is_refused(number):
    with pytest.raises(ConfigError, match=r"demo needs 1 to \d+ groups of \w+, got " + str(number)):
        DemoSource(num_groups=number).load()


def test_fewer_groups_are_the_first_of_more():
    few = DemoSource(num_groups=3, num_spillover_groups=2).load()
    assert Counter(g.domain for g in few.train) == dict.fromkeys(TRAIN_DOMAINS, 3)
    more = DemoSource(num_groups=5, num_spillover_groups=2).load()
    assert {g.prompt for g in few.train} < {g.prompt for g in more.train}
