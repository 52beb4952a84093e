"""Where a public name of this package is defined, found by parsing files and never importing them.

A module is a tuple of its dotted name's parts, `("rmx", "losses")`.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PACKAGE = "rmx"
ROOT = Path(__file__).resolve().parent.parent

Module = tuple[str, ...]


@cache
def parse(module: Module) -> ast.Module | None:
    """Return the module's syntax tree; None where there is no such file."""
    if module[:1] != (PACKAGE,):
        return None
    base = ROOT.joinpath(*module[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return ast.parse(path.read_text(encoding="utf-8"), str(path))
    return None


def find_definition(module: Module, name: str) -> tuple[Module, ast.stmt] | None:
    """Return the module that defines `name` and the statement that does; imports are followed.

    None where it is not there, or comes from another package.
    """
    tree = parse(module)
    if tree is None:
        return None
    for node in tree.body:
        if name in _defined_by(node):
            return module, node
    for node in ast.walk(tree):  # deeper too: `if TYPE_CHECKING:` imports count
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return find_definition(_imported_module(module, node), alias.name)
    return None


def public_names(module: Module) -> set[str]:
    """Return the classes and functions that a target may name in this module."""
    tree = parse(module)
    if tree is None:
        return set()
    names = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and _imported_module(module, node)[:1] == (PACKAGE,)
        for alias in node.names
    }
    names |= {n.name for n in tree.body if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    return {name for name in names if not name.startswith("_")}


def _defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def _imported_module(module: Module, node: ast.ImportFrom) -> Module:
    """Return the module that `from X import ...` names, relative ones made absolute."""
    named = tuple(node.module.split(".")) if node.module else ()
    if not node.level:
        return named
    is_package = ROOT.joinpath(*module[1:], "__init__.py").is_file()
    drop = node.level - is_package
    return (*module[: len(module) - drop], *named)
