"""Each form of a row is read as meant, and each fault is refused by field, reason and remedy."""

import pytest

from rmx.data.columns import RowError
from rmx.data.rows import RowReader
from rmx.types import TIE, Comparison, Message


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


PAIR = {"prompt": "q", "chosen": "good", "rejected": "bad"}
MANY = {"prompt": "q", "completions": ["a", "b", "c"]}


def read(row, **scales):
    return RowReader(**scales).read(row, default_id="file:1")


def test_a_plain_pair_is_a_group_of_two_with_defaults():
    group = read(PAIR)
    assert group.prompt == (Message("user", "q"),)
    assert group.completions == ("good", "bad")
    assert group.comparisons == (Comparison(0, 1, 1.0, None, 1.0),)
    assert (group.id, group.domain, group.source) == ("file:1", "unknown", "unknown")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [user("q")], "chosen": "good", "rejected": "bad"},
        {"prompt": [user("q")], "chosen": [assistant("good")], "rejected": [assistant("bad")]},
        {"chosen": [user("q"), assistant("good")], "rejected": [user("q"), assistant("bad")]},
        {
            "prompt": "q",
            "chosen": [user("q"), assistant("good")],
            "rejected": [user("q"), assistant("bad")],
        },
        {**PAIR, "tie": False, "margin": None, "domain": None, "preference": None},
        {**PAIR, "prompt": [{**user("q"), "tool_calls": None}]},
    ],
    ids=[
        "messages",
        "conversational",
        "implicit prompt",
        "whole conversations",
        "nulls",
        "null key",
    ],
)
def test_all_forms_of_one_pair_are_one_group(row):
    assert read(row) == read(PAIR)


def test_an_implicit_prompt_keeps_all_shared_turns():
    shared = [{"role": "system", "content": "s"}, user("q"), assistant("a"), user("and?")]
    group = read({"chosen": [*shared, assistant("good")], "rejected": [*shared, assistant("bad")]})
    assert [turn.role for turn in group.prompt] == ["system", "user", "assistant", "user"]
    assert group.completions == ("good", "bad")


def test_texts_are_kept_as_they_are():
    group = read({"prompt": " q\n", "chosen": "  good\n", "rejected": "ärger 👍"})
    assert group.prompt[0].content == " q\n"
    assert group.completions == ("  good\n", "ärger 👍")


def test_labels_and_weights_are_read():
    group = read({**PAIR, "id": 7, "domain": "math", "source": "s", "preference": 0.8, "weight": 2})
    assert (group.id, group.domain, group.source) == ("7", "math", "s")
    assert group.comparisons == (Comparison(0, 1, 0.8, None, 2.0),)


@pytest.mark.parametrize("tie", [{"tie": True}, {"preference": 0.5}, {"tie": True, "margin": 0}])
def test_a_tie_has_preference_one_half_and_no_strength(tie):
    assert read({**PAIR, **tie}).comparisons == (Comparison(0, 1, TIE),)


@pytest.mark.parametrize(
    ("margin", "scale", "strength"), [(0.8, 1, 0.8), (3, 4, 0.75), (0, 1, None), (None, 1, None)]
)
def test_margin_over_its_scale_is_the_strength(margin, scale, strength):
    row = {**PAIR, "margin": margin}
    assert read(row, strength_scale=scale).comparisons[0].strength == strength


def test_rated_completions_are_all_compared_the_higher_chosen():
    group = read({**MANY, "ratings": [1, 3.5, 1]})
    assert group.comparisons == (Comparison(1, 0), Comparison(0, 2, TIE), Comparison(1, 2))
    assert group.ratings == (1.0, 3.5, 1.0)


def test_a_rating_range_gives_strengths():
    group = read({**MANY, "ratings": [1, 5, 3]}, rating_range=4)
    # Gaps 4, 2 and 2 of a range of 4.
    assert [c.strength for c in group.comparisons] == [1.0, 0.5, 0.5]


def test_a_ranking_chooses_the_lower_rank():
    group = read({**MANY, "ranking": [2, 1, 2]})
    assert group.comparisons == (Comparison(1, 0), Comparison(0, 2, TIE), Comparison(1, 2))
    assert group.ratings is None


def test_explicit_comparisons_are_taken_beside_ratings():
    judged = [
        {"chosen": 2, "rejected": 0, "strength": 0.5, "weight": 3},
        {"chosen": 0, "rejected": 1, "tie": True},
        {"chosen": 1, "rejected": 2, "preference": 0.25},
    ]
    group = read({**MANY, "comparisons": judged, "ratings": [1, 2, 3]})
    assert group.comparisons == (
        Comparison(2, 0, 1.0, 0.5, 3.0),
        Comparison(0, 1, TIE),
        Comparison(1, 2, 0.25),
    )
    assert group.ratings == (1.0, 2.0, 3.0)


def test_equal_rated_texts_are_left_to_the_renderer():
    group = read({"prompt": "q", "completions": ["a", "a"], "ratings": [1, 2]})
    assert group.comparisons == (Comparison(1, 0),)


def test_columns_without_a_use_are_remembered():
    reader = RowReader()
    reader.read({**PAIR, "margins": 1, "subset": "x"}, default_id="1")
    assert reader.unread == {"margins", "subset"}


NAN, INF = float("nan"), float("inf")
BAD_PAIRS = [
    ({"prompt": None}, "prompt", "is missing beside plain texts"),
    ({"prompt": ""}, "prompt", "is empty"),
    ({"prompt": []}, "prompt", "has no messages"),
    ({"prompt": 3}, "prompt", "must be a text or messages, got 3"),
    ({"prompt": ["q"]}, "prompt[0]", "must be a message, got a string 'q'"),
    ({"prompt": [{"role": "user"}]}, "prompt[0].content", "is missing"),
    ({"prompt": [user(None)]}, "prompt[0].content", "is null"),
    ({"prompt": [user(" ")]}, "prompt[0].content", "is empty"),
    ({"prompt": [user(["q"])]}, "prompt[0].content", "must be a string, got a list"),
    ({"prompt": [{"role": "human", "content": "q"}]}, "prompt[0].role", "rename it to 'user'"),
    ({"prompt": [{"role": ["user"], "content": "q"}]}, "prompt[0].role", "must be system, user"),
    ({"prompt": [{**user("q"), "name": "Bo"}]}, "prompt[0]", "has 'name'"),
    ({"prompt": [user("q"), assistant("a")]}, "prompt", "must end with the user's turn"),
    ({"chosen": None}, "chosen", "is null"),
    ({"rejected": "\n "}, "rejected", "is empty"),
    ({"rejected": {}}, "rejected", "must be a text or messages, got an object"),
    ({"rejected": "good"}, "rejected", "equals the chosen text"),
    ({"chosen": [user("x"), assistant("a")]}, "chosen", "one assistant message after the prompt"),
    ({"chosen": [assistant("a"), assistant("b")]}, "chosen", "got assistant, assistant"),
    ({"chosen": "half \ud83d pair"}, "chosen", "half of a surrogate pair at character 5"),
    ({"chosen": "a\0b"}, "chosen", "holds a NUL at character 1"),
    ({"tie": 1}, "tie", "must be true or false, got 1"),
    ({"tie": True, "margin": 0.5}, "margin", "is 0.5 for a tie"),
    ({"tie": True, "preference": 1}, "preference", "is 1 for a tie"),
    ({"preference": 1.2}, "preference", "must be in [0, 1], got 1.2"),
    ({"margin": -1}, "margin", "swap chosen and rejected"),
    ({"margin": 3}, "margin", "set data.strength_scale"),
    ({"margin": NAN}, "margin", "must be finite, got nan"),
    ({"margin": "1"}, "margin", "must be a number, got a string '1'"),
    ({"margin": True}, "margin", "must be a number"),
    ({"margin": 1, "strength": 1}, "margin", "stands beside 'strength'"),
    ({"weight": 0}, "weight", "must be > 0"),
    ({"weight": INF}, "weight", "must be finite"),
    ({"domain": ""}, "domain", "is empty"),
    ({"domain": ["a"]}, "domain", "must be a string"),
    ({"id": "a\nb"}, "id", "control characters"),
    ({"completions": ["a", "b"]}, "completions", "stands beside 'chosen'"),
]
BAD_MANY = [
    ({}, "ratings", "is missing"),
    ({"prompt": None, "ratings": [1, 2, 3]}, "prompt", "is null"),
    ({"completions": None}, "completions", "is null"),
    ({"completions": "a"}, "completions", "must be a list"),
    ({"completions": ["a"], "ratings": [1]}, "completions", "must be at least 2, got 1"),
    ({"completions": ["a", None], "ratings": [1, 2]}, "completions[1]", "must be a text"),
    ({"completions": ["a", ""], "ratings": [1, 2]}, "completions[1]", "is empty"),
    ({"ratings": [1, 2]}, "ratings", "has 2 for 3 completions"),
    ({"ratings": [1, 2, NAN]}, "ratings[2]", "must be finite, got nan"),
    ({"ratings": [1, INF, 2]}, "ratings[1]", "must be finite, got inf"),
    ({"ratings": [1, None, 2]}, "ratings[1]", "must be a number, got null"),
    ({"ratings": 3}, "ratings", "must be a list"),
    ({"ranking": [1, 2, 3], "ratings": [1, 2, 3]}, "ranking", "stands beside 'ratings'"),
    ({"comparisons": []}, "comparisons", "is empty"),
    ({"comparisons": [[0, 1]]}, "comparisons[0]", "must be an object"),
    ({"comparisons": [{"chosen": 0}]}, "comparisons[0].rejected", "is missing"),
    ({"comparisons": [{"chosen": 0, "rejected": 3}]}, "comparisons[0].rejected", "index 3 is out"),
    ({"comparisons": [{"chosen": -1, "rejected": 1}]}, "comparisons[0].chosen", "index -1 is out"),
    ({"comparisons": [{"chosen": 0.0, "rejected": 1}]}, "comparisons[0].chosen", "be an index"),
    ({"comparisons": [{"chosen": 1, "rejected": 1}]}, "comparisons[0].rejected", "equals 'chosen'"),
    (
        {"comparisons": [{"chosen": 0, "rejected": 1, "weigth": 1}]},
        "comparisons[0].weigth",
        "did you mean 'weight'?",
    ),
]


@pytest.mark.parametrize(("change", "field", "message"), BAD_PAIRS)
def test_a_bad_pair_is_refused(change, field, message):
    assert_refused({**PAIR, **change}, field, message)


@pytest.mark.parametrize(("change", "field", "message"), BAD_MANY)
def test_a_bad_group_is_refused(change, field, message):
    assert_refused({**MANY, **change}, field, message)


@pytest.mark.parametrize(
    ("row", "field", "message"),
    [
        ([1], "", "a row must be a JSON object, got a list"),
        ({}, "chosen", "is missing among no columns"),
        ({"text": "a"}, "chosen", "a row needs chosen and rejected, or completions"),
        ({"prompt": "q", "chosen": "a"}, "rejected", "is missing"),
        ({"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "b"}, "prompt", "Human: turns"),
        ({"chosen": [assistant("a")], "rejected": [assistant("b")]}, "prompt", "is missing"),
        (
            {"chosen": [user("q"), assistant("a")], "rejected": [user("p"), assistant("b")]},
            "rejected",
            "departs from 'chosen' before the last message",
        ),
        (
            {"chosen": [user("q"), assistant("a")], "rejected": [user("q"), assistant("a")]},
            "rejected",
            "equals the chosen text",
        ),
        (
            {"chosen": [assistant("x"), assistant("a")], "rejected": [assistant("x"), user("b")]},
            "chosen",
            "must end with the user's turn",
        ),
    ],
)
def test_a_row_of_no_form_is_refused(row, field, message):
    assert_refused(row, field, message)


def test_ratings_beyond_their_range_are_refused():
    with pytest.raises(RowError, match=r"differ by 9, more than data.rating_range=4"):
        read({**MANY, "ratings": [1, 10, 2]}, rating_range=4)


def assert_refused(row, field, message):
    with pytest.raises(RowError) as caught:
        read(row)
    assert caught.value.field == field
    assert message in str(caught.value)
    assert "; " in str(caught.value)  # a remedy follows
    assert "\n" not in str(caught.value)
