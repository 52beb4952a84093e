"""What a component's `_target_` takes, read from its source: importing it would import torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from rmx.config.annotations import Annotation
from rmx.config.source import PACKAGE, Module, find_definition, public_names
from rmx.config.suggestions import did_you_mean
from rmx.errors import ConfigError


@dataclass(frozen=True)
class Signature:
    """A target's arguments by name, each with its annotation or None where anything goes.

    Attributes:
        takes_any: it has `**kwargs`.
    """

    parameters: dict[str, Annotation | None]
    takes_any: bool = False


@cache
def signature_of(target: str) -> Signature:
    """Return what the class or function named `rmx.module.Name` takes.

    Raises:
        ConfigError: the name is not one of this package's, or there is no such thing.
    """
    parts = str(target).split(".")
    is_plain = all(part.isidentifier() and not part.startswith("_") for part in parts)
    if len(parts) < 3 or parts[0] != PACKAGE or not is_plain:
        raise ConfigError(
            f"_target_ must name a public class or function of {PACKAGE}, got {target!r}: "
            "a config runs no other code"
        )
    module, name = tuple(parts[:-1]), parts[-1]
    found = find_definition(module, name)
    if found is None or not isinstance(found[1], ast.ClassDef | ast.FunctionDef):
        hint = did_you_mean(name, public_names(module))
        raise ConfigError(f"_target_ {target}: no such class or function in {PACKAGE}{hint}")
    where, node = found
    if isinstance(node, ast.ClassDef):
        return _class_signature(node, where)
    assert isinstance(node, ast.FunctionDef)
    return _function_signature(node, where)


def _function_signature(node: ast.FunctionDef, module: Module, *, skip: int = 0) -> Signature:
    arguments = [*node.args.args[skip:], *node.args.kwonlyargs]
    return Signature(
        {a.arg: Annotation(a.annotation, module) if a.annotation else None for a in arguments},
        takes_any=node.args.kwarg is not None,
    )


def _class_signature(node: ast.ClassDef, module: Module) -> Signature:
    """Return the nearest `__init__`'s along the bases in this package, or a dataclass's fields."""
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _function_signature(statement, module, skip=1)  # self
    bases = {}
    for base in _bases(node, module):
        signature = _class_signature(*base)
        if not _is_dataclass(node) and signature.parameters:
            return signature
        bases |= signature.parameters
    return Signature(bases | _fields(node, module) if _is_dataclass(node) else {})


def _bases(node: ast.ClassDef, module: Module) -> Iterator[tuple[ast.ClassDef, Module]]:
    for base in node.bases:
        found = find_definition(module, base.id) if isinstance(base, ast.Name) else None
        if found is not None and isinstance(found[1], ast.ClassDef):
            yield found[1], found[0]


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any(ast.unparse(d).split("(")[0].endswith("dataclass") for d in node.decorator_list)


def _fields(node: ast.ClassDef, module: Module) -> dict[str, Annotation | None]:
    return {
        statement.target.id: Annotation(statement.annotation, module)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and not ast.unparse(statement.annotation).startswith(("ClassVar", "KW_ONLY"))
        and "init=False" not in ast.unparse(statement)
    }
