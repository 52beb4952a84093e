"""Whether a config's value fits a parameter's annotation.

Understood: int, float, bool, str, None, Literal, unions, list, tuple and dict of these, and a
module's aliases for them. Anything else is left to the class itself.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from rmx.config.source import Module, find_definition

_SEQUENCES = {"list", "List", "Sequence", "Iterable", "Collection", "set", "frozenset"}
_MAPPINGS = {"dict", "Dict", "Mapping"}


class MismatchError(ValueError):
    """The value does not fit; the message says what does: "must be an int"."""


@dataclass(frozen=True)
class Annotation:
    """An annotation's expression, and the module whose names it uses."""

    node: ast.expr
    module: Module

    def fit(self, value: Any) -> Any:
        """Return `value` as the parameter wants it: 1.0 for 1, or a tuple for a list.

        Raises:
            MismatchError: it can't be had without guessing.
        """
        return _fit(value, self.node, self.module)

    def rule(self) -> str:
        """Return what a value must be, "must be an int or null"."""
        try:
            _fit(object(), self.node, self.module)
        except MismatchError as mismatch:
            return str(mismatch)
        return "can be anything"


def _fit(value: Any, node: ast.expr, module: Module) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted annotation
        return _fit(value, ast.parse(node.value, mode="eval").body, module)
    if isinstance(node, ast.Constant):
        return _fit_none(value)
    if isinstance(node, ast.BinOp):
        return _fit_union(value, [node.left, node.right], module)
    if isinstance(node, ast.Subscript):
        return _fit_subscript(value, node, module)
    if isinstance(node, ast.Name):
        return _fit_name(value, node.id, module)
    return value


def _fit_name(value: Any, name: str, module: Module) -> Any:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    match name:
        case "int" if not is_int:
            raise MismatchError("must be an int")
        case "float":
            if not is_int and not isinstance(value, float):
                raise MismatchError("must be a float")
            return float(value)
        case "bool" if not isinstance(value, bool):
            raise MismatchError("must be true or false")
        case "str":
            if is_int:  # a name that happens to be digits; YAML reads it as a number
                return str(value)
            if not isinstance(value, str):
                raise MismatchError("must be a str")
        case _ if name in _SEQUENCES | {"tuple"} and not isinstance(value, list | tuple):
            raise MismatchError("must be a list, such as [1,2]")
        case _ if name in _MAPPINGS and not isinstance(value, dict):
            raise MismatchError("must be a mapping, such as {a:1}")
    alias = find_definition(module, name)
    if alias is not None and isinstance(alias[1], ast.Assign | ast.AnnAssign) and alias[1].value:
        return _fit(value, alias[1].value, alias[0])
    return value


def _fit_subscript(value: Any, node: ast.Subscript, module: Module) -> Any:
    name = node.value.attr if isinstance(node.value, ast.Attribute) else ast.unparse(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return _fit_literal(value, [ast.literal_eval(choice) for choice in inner])
    if name == "Optional":
        return None if value is None else _fit(value, inner[0], module)
    if name == "Union":
        return _fit_union(value, inner, module)
    if name == "Annotated":
        return _fit(value, inner[0], module)
    if name in _SEQUENCES:
        return [_fit(item, inner[0], module) for item in _fit_name(value, name, module)]
    if name == "tuple":
        return _fit_tuple(_fit_name(value, name, module), inner, module)
    if name in _MAPPINGS:
        return {k: _fit(v, inner[-1], module) for k, v in _fit_name(value, name, module).items()}
    return value


def _fit_tuple(value: list[Any], inner: list[ast.expr], module: Module) -> tuple[Any, ...]:
    if isinstance(inner[-1], ast.Constant) and inner[-1].value is Ellipsis:
        return tuple(_fit(item, inner[0], module) for item in value)
    if len(value) != len(inner):
        raise MismatchError(f"must have {len(inner)} values")
    return tuple(_fit(item, kind, module) for item, kind in zip(value, inner, strict=True))


def _fit_literal(value: Any, choices: list[Any]) -> Any:
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    if isinstance(value, int) and not isinstance(value, bool) and str(value) in choices:
        return str(value)  # precision=32 is read as a number
    raise MismatchError(f"must be {one_of(choices)}")


def _fit_union(value: Any, members: list[ast.expr], module: Module) -> Any:
    wanted = []
    fitted = []
    for member in members:
        try:
            fitted.append(_fit(value, member, module))
        except MismatchError as mismatch:
            wanted.append(str(mismatch).removeprefix("must be "))
    if not fitted:
        raise MismatchError(f"must be {' or '.join(wanted)}")
    same = [item for item in fitted if type(item) is type(value)]
    return (same or fitted)[0]  # int | str keeps 3 an int


def _fit_none(value: Any) -> None:
    if value is not None:
        raise MismatchError("must be null")


def one_of(choices: list[Any] | tuple[Any, ...]) -> str:
    """Return "a, b or c"."""
    names = ["null" if choice is None else str(choice) for choice in choices]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
