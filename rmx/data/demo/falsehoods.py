"""Fluent and wrong: swaps facts in a sentence, or an operator, number or name in a function.

Swaps go both ways, so that no word by itself marks a text as false.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Callable
from functools import partial
from typing import Any

FACTS = """
first/last before/after minimum/maximum smallest/largest lower/upper lowercase/uppercase left/right
start/end true/false always/never read/write reads/writes reading/writing input/output open/close
opens/closes added/removed add/remove greater/less ascending/descending with/without string/integer
strings/integers bytes/characters keys/values file/socket files/directories positional/keyword
mutable/immutable raises/ignores raised/ignored encode/decode encoded/decoded parent/child
local/global optional/required even/odd above/below source/destination new/old names/values
server/client success/failure accept/reject list/dictionary lists/dictionaries
create/delete creates/deletes created/deleted inside/outside returned/discarded
called/skipped statement/expression statements/expressions variable/constant attribute/argument
attributes/arguments equal/unequal function/class functions/classes method/module methods/modules
enclosing/enclosed sequence/mapping sequences/mappings instance/subclass default/final line/byte
lines/bytes message/header current/previous name/size empty/full supported/forbidden data/text
thread/process threads/processes request/response set/get public/private import/export
compress/decompress compressed/uncompressed return/print returns/prints
"""
SWAPS: dict[str, str] = {}
for pair in FACTS.split():
    a, b = pair.split("/")
    SWAPS.setdefault(a, b)
    SWAPS.setdefault(b, a)
FACT = re.compile(
    r"\b(an? )?(" + "|".join(sorted(SWAPS, key=len, reverse=True)) + r")\b(?![_'(.]\w)", re.I
)


def swap_facts(text: str, rng: random.Random, *, num_swaps: int = 2) -> str | None:
    """Return the text with up to `num_swaps` words turned to their opposites, None if it has none.

    A word is swapped wherever it occurs, so the falsehood is consistent. A word whose opposite
    is in the text too stays: "reading or writing" would become no falsehood, or no sentence.
    """
    words = {match[2].lower() for match in FACT.finditer(text)}
    found = sorted(word for word in words if SWAPS[word] not in words)
    if not found:
        return None
    chosen = set(rng.sample(found, min(num_swaps, len(found))))

    def swap(match: re.Match) -> str:
        article, word = match[1] or "", match[2]
        if word.lower() not in chosen:
            return match[0]
        other = SWAPS[word.lower()]
        if article:
            article = article[0] + ("n " if other[0] in "aeiou" else " ")
        return article + (other.capitalize() if word[0].isupper() else other)

    return FACT.sub(swap, text)


COMPARISONS = {ast.Eq: ast.NotEq, ast.Lt: ast.GtE, ast.Gt: ast.LtE, ast.Is: ast.IsNot}
COMPARISONS |= {ast.In: ast.NotIn}
ARITHMETIC = {ast.Add: ast.Sub, ast.Mult: ast.FloorDiv}
LOGIC = {ast.And: ast.Or}
OPPOSITE: dict[type, type] = {
    a: b
    for table in (COMPARISONS, ARITHMETIC, LOGIC)
    for pair in table.items()
    for a, b in (pair, pair[::-1])
}


def mutate_code(code: str, rng: random.Random) -> str | None:
    """Return the code with one operator, constant, name or argument order changed.

    The code must be as `ast.unparse` writes it. The result parses and differs; None if nothing in
    the code can be changed.
    """
    tree = ast.parse(code)
    mutations = _mutations(tree, rng)
    if not mutations:
        return None
    rng.choice(mutations)()
    mutated = ast.unparse(tree)
    return mutated if mutated != code else None


def _mutations(tree: ast.AST, rng: random.Random) -> list[Callable[[], None]]:
    """Return a change in place for each spot of the tree that has one."""
    nodes: list[Any] = list(ast.walk(tree))
    variables = {n.arg for n in nodes if isinstance(n, ast.arg)}
    variables |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    found: list[Callable[[], None]] = []
    for node in nodes:
        match node:
            case ast.Compare(ops=[op]) if type(op) in OPPOSITE:
                found.append(partial(setattr, node, "ops", [OPPOSITE[type(op)]()]))
            case ast.BinOp() | ast.BoolOp() | ast.AugAssign() if type(node.op) in OPPOSITE:
                found.append(partial(setattr, node, "op", OPPOSITE[type(node.op)]()))
            case ast.Constant(value=bool()):
                found.append(partial(setattr, node, "value", not node.value))
            case ast.Constant(value=int(value)):
                found.append(partial(setattr, node, "value", value + 1))
            case ast.Call(args=[first, second, *rest]) if ast.dump(first) != ast.dump(second):
                found.append(partial(setattr, node, "args", [second, first, *rest]))
            case ast.Name(ctx=ast.Load(), id=name) if name in variables and len(variables) > 1:
                other = rng.choice(sorted(variables - {name}))
                found.append(partial(setattr, node, "id", other))
    return found
