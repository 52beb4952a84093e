"""Right and spoilt answers: each kind is what it says."""

import ast
import random
import re
from collections import Counter

import pytest

from rmx.data.demo import answers, falsehoods
from rmx.data.demo.arithmetic import arithmetic
from rmx.data.demo.dates import calendar
from rmx.data.demo.python_texts import code, docstrings

TEXT = "Return the largest item of the list. Raise an error if the list is empty, always."
EQUATION = re.compile(r"(\d+) ([-+x]) (\d+) = (\d+)")


def words(text):
    return Counter(re.findall(r"[^\s.,;:]+", text.lower()))


@pytest.mark.parametrize("seed", range(20))
def test_shuffling_keeps_every_word_the_length_and_the_capital_in_front(seed):
    shuffled = answers.shuffle_words(TEXT, random.Random(seed))
    assert words(shuffled) == words(TEXT)
    assert len(shuffled) == len(TEXT)
    assert shuffled[0].isupper()
    assert shuffled.endswith(".")
    assert sum(c.isupper() for c in shuffled) <= sum(c.isupper() for c in TEXT) + 1


@pytest.mark.parametrize("seed", range(20))
def test_garbling_takes_half_of_the_words_from_another_text(seed):
    # no word is in both texts, so each foreign one shows
    other = "some quite unrelated thoughts about rivers, mountains and birds"
    garbled = answers.garble(TEXT, other, random.Random(seed))
    assert words(garbled).total() == words(TEXT).total() == 16
    assert sum((words(garbled) & words(other)).values()) <= 8
    assert (words(garbled) - words(other) - words(TEXT)).total() == 0
    assert words(garbled) - words(TEXT)
    assert re.sub(r"[^.,]", "", garbled) == re.sub(r"[^.,]", "", TEXT)


@pytest.mark.parametrize("seed", range(20))
def test_truncation_stops_between_words_before_the_end(seed):
    cut = answers.truncate(TEXT, random.Random(seed))
    assert TEXT.startswith(cut)
    assert 0.3 * len(TEXT) < len(cut) < 0.9 * len(TEXT)
    assert not TEXT[len(cut)].isalnum()


@pytest.mark.parametrize("seed", range(20))
def test_a_loop_repeats_words_to_about_the_length(seed):
    looped = answers.loop(TEXT, random.Random(seed))
    assert 0.7 * len(TEXT) < len(looped) < 1.8 * len(TEXT)
    assert set(words(looped)) <= set(words(TEXT))
    assert len(set(words(looped))) <= words(looped).total() - 4


def test_a_group_has_one_right_answer_and_other_kinds_besides():
    rng = random.Random(0)
    for size in (2, 3, 4):
        drawn = [answers.draw_kinds(size, rng) for _ in range(300)]
        assert all(len(kinds) == size and kinds[0] == "correct" for kinds in drawn)
        assert {kind for kinds in drawn for kind in kinds[1:]} == set(answers.WEIGHTS)
        assert all(len(set(kinds[1:])) == size - 1 for kinds in drawn)


def test_swapping_facts_turns_words_to_their_opposites():
    # "first" is the only word with an opposite; "last" is not in the text
    swapped = falsehoods.swap_facts("Insert it at the first place.", random.Random(0))
    assert swapped == "Insert it at the last place."


def test_swapping_facts_keeps_capitals_and_articles():
    swapped = falsehoods.swap_facts("Always use an attribute.", random.Random(0))
    assert swapped == "Never use an argument."
    assert falsehoods.swap_facts("It is a statement.", random.Random(0)) == "It is an expression."


def test_a_word_whose_opposite_is_in_the_text_stays():
    assert falsehoods.swap_facts("For reading or writing.", random.Random(0)) is None


def test_swaps_go_both_ways():
    assert all(other in falsehoods.SWAPS for other in falsehoods.SWAPS.values())


@pytest.mark.parametrize(
    ("right", "mutants"),
    [
        ("a == b", {"a != b"}),
        ("a + b", {"a - b"}),
        ("a and b", {"a or b"}),
        ("True", {"False"}),
        ("x[1]", {"x[2]"}),
        ("f(a, b)", {"f(b, a)"}),
    ],
)
def test_a_mutation_changes_one_thing(right, mutants):
    assert {falsehoods.mutate_code(right, random.Random(s)) for s in range(5)} == mutants


def test_code_without_anything_to_change_has_no_mutant():
    assert falsehoods.mutate_code("pass", random.Random(0)) is None


def test_wrong_code_parses_and_differs_from_the_right_code():
    items = list(code(random.Random(0)))
    assert len(items) > 200
    for item in items:
        right = {ast.dump(ast.parse(text)) for text in item.correct}
        for text in item.wrong:
            assert ast.dump(ast.parse(text)) not in right


def test_right_docstrings_have_a_full_stop_and_fit():
    items = list(docstrings(random.Random(0)))
    assert len(items) > 400
    for text in (text for item in items for text in item.correct):
        assert text.endswith(".")
        assert len(text) < 240
        assert "\n" not in text


def holds(equation):
    a, operation, b, result = equation
    a, b = int(a), int(b)
    return {"+": a + b, "-": a - b, "x": a * b}[operation] == int(result)


def test_right_solutions_hold_and_wrong_ones_have_one_mistake():
    rng = random.Random(0)
    mistakes = Counter()
    for item in (next(arithmetic(rng)) for _ in range(300)):
        right, wrong = (
            [EQUATION.findall(t) for t in texts] for texts in (item.correct, item.wrong)
        )
        assert all(len(equations) == 2 and all(map(holds, equations)) for equations in right)
        for equations in wrong:
            assert equations[1][-1] != right[0][1][-1]
            has_slip = not all(map(holds, equations))
            has_other_operation = equations[1][1] != right[0][1][1]
            mistakes[has_slip, has_other_operation] += 1
    # a slip, a wrong operation, or neither: a number misread
    assert set(mistakes) == {(True, False), (False, True), (False, False)}
    assert min(mistakes.values()) > 150


def test_clock_answers_are_the_start_plus_the_minutes():
    def minutes(clock):
        return 60 * int(clock.split(":")[0]) + int(clock.split(":")[1])

    seen = 0
    for item in (next(calendar(random.Random(seed))) for seed in range(200)):
        asked = re.search(r"starts at (\d+:\d+) and lasts (\d+) minutes", item.prompt)
        if asked:
            seen += 1
            end = (minutes(asked[1]) + int(asked[2])) % (24 * 60)
            for text in item.correct:
                assert end in map(minutes, re.findall(r"\d+:\d\d", text)), text
            for text in item.wrong:
                assert end not in map(minutes, re.findall(r"\d+:\d\d", text)), text
    assert seen > 20
