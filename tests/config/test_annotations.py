"""Values against annotations, each case with what Python's own typing says about it."""

import ast
from typing import Any

import pytest

from rmx.config.annotations import Annotation, MismatchError


def fit(value: Any, annotation: str) -> Any:
    return Annotation(ast.parse(annotation, mode="eval").body, ("rmx", "errors")).fit(value)


@pytest.mark.parametrize(
    ("value", "annotation", "fitted"),
    [
        (3, "int", 3),
        (3, "float", 3.0),
        (None, "float | None", None),
        (3, "int | str", 3),
        ("auto", "int | Literal['auto']", "auto"),
        (32, "Literal['auto', '32']", "32"),
        (2024, "str", "2024"),
        ([0.9, 1], "tuple[float, float]", (0.9, 1.0)),
        ([1, 2, 3], "tuple[int, ...]", (1, 2, 3)),
        (["a"], "list[str] | None", ["a"]),
        ({"a": 1}, "dict[str, float]", {"a": 1.0}),
        (True, "bool", True),
        ("x", "'str'", "x"),
        ("x", "Optional[str]", "x"),
        ("x", "Union[int, str]", "x"),
        (object, "nn.Module", object),
    ],
)
def test_what_fits_comes_back_as_the_annotation_says(
    value: Any, annotation: str, fitted: Any
) -> None:
    result = fit(value, annotation)
    assert result == fitted
    assert type(result) is type(fitted)


@pytest.mark.parametrize(
    ("value", "annotation", "rule"),
    [
        ("abc", "float", "must be a float"),
        (True, "int", "must be an int"),
        (1, "bool", "must be true or false"),
        (1.5, "int", "must be an int"),
        (1.5, "str", "must be a str"),
        (None, "str", "must be a str"),
        ("abc", "float | None", "must be a float or null"),
        ("abc", "int | Literal['auto']", "must be an int or auto"),
        ("lin", "Literal['linear', 'cosine']", "must be linear or cosine"),
        ([1.0], "tuple[float, float]", "must have 2 values"),
        ([1.0, "a"], "tuple[float, float]", "must be a float"),
        ("a", "list[str]", "must be a list, such as [1,2]"),
        (["a"], "dict[str, int]", "must be a mapping, such as {a:1}"),
    ],
)
def test_what_does_not_fit_says_what_would(value: Any, annotation: str, rule: str) -> None:
    with pytest.raises(MismatchError) as caught:
        fit(value, annotation)
    assert str(caught.value) == rule


def test_an_alias_is_looked_up_where_it_is_defined() -> None:
    # TiePolicy = Literal["auto", "drop", "soft", "model"] lives in rmx.losses.base
    annotation = Annotation(ast.Name("TiePolicy"), ("rmx", "losses"))
    assert annotation.fit("drop") == "drop"
    assert annotation.rule() == "must be auto, drop, soft or model"
