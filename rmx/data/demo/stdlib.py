"""Reads the texts that ship with CPython: functions, docstrings, modules, the language reference.

Nothing is imported but the reference: sources are parsed, so no module's side effects run. What is
found depends on the Python version, and on nothing else.
"""

from __future__ import annotations

import ast
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

# present in CPython 3.11 to 3.13; packages by their __init__
MODULES = """
abc argparse ast base64 bdb bisect bz2 calendar cmd code codecs codeop collections/__init__
colorsys compileall concurrent/futures/_base concurrent/futures/thread configparser contextlib copy
copyreg csv dataclasses datetime decimal difflib dis doctest email/message email/header enum
filecmp fileinput fnmatch fractions ftplib functools genericpath getopt getpass gettext glob
graphlib gzip hashlib heapq hmac html/__init__ html/parser http/client http/cookiejar http/cookies
http/server imaplib importlib/__init__ importlib/abc importlib/util inspect io ipaddress
json/decoder json/encoder json/__init__ keyword linecache locale logging/__init__ logging/config
logging/handlers lzma mailbox mimetypes modulefinder multiprocessing/pool netrc ntpath numbers
operator optparse os pathlib pdb pickle pickletools pkgutil platform plistlib poplib posixpath
pprint profile pstats pty py_compile pyclbr pydoc queue quopri random reprlib runpy sched secrets
selectors shelve shlex shutil signal site smtplib socket socketserver ssl stat statistics string
stringprep struct subprocess symtable sysconfig tabnanny tarfile tempfile textwrap threading timeit
token tokenize trace traceback tracemalloc types typing unittest/case unittest/loader unittest/mock
urllib/error urllib/parse urllib/request urllib/robotparser uuid warnings wave weakref webbrowser
xml/dom/minidom xml/etree/ElementTree xmlrpc/client zipapp zipfile zipfile/__init__ zipimport
asyncio/base_events asyncio/events asyncio/futures asyncio/locks asyncio/queues asyncio/streams
asyncio/tasks asyncio/transports
"""


@dataclass(frozen=True)
class Function:
    """A public function or method with its docstring.

    Attributes:
        name: as a user would write it: `shutil.copyfile`, `queue.Queue.put`.
        signature: `def copyfile(src, dst, *, follow_symlinks=True):`.
        body: the code after the docstring, as `ast.unparse` writes it; empty for a long function.
    """

    name: str
    signature: str
    docstring: str
    body: str


@cache
def library() -> tuple[dict[str, str], tuple[Function, ...]]:
    """Return the docstring of each module, and every public function that has one."""
    root = Path(sysconfig.get_path("stdlib"))
    modules: dict[str, str] = {}
    functions: list[Function] = []
    for name in MODULES.split():
        path = root / f"{name}.py"
        if path.exists():
            module = name.removesuffix("/__init__").replace("/", ".")
            # The tree goes before the next one comes: holding all of them is slow to collect.
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules[module] = ast.get_docstring(tree) or ""
            functions += _functions(module, tree)
    return modules, tuple({function.name: function for function in functions}.values())


def is_short(function: ast.FunctionDef) -> bool:
    return (function.end_lineno or 0) - function.lineno < 25


def _functions(module: str, tree: ast.Module) -> Iterator[Function]:
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    owners = [(f"{module}.", tree)]
    owners += [(f"{module}.{c.name}.", c) for c in classes if not c.name.startswith("_")]
    for prefix, owner in owners:
        for node in owner.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                docstring = ast.get_docstring(node)
                if docstring:
                    signature = f"def {node.name}({ast.unparse(node.args)}):"
                    body = ast.unparse(ast.Module(node.body[1:], [])) if is_short(node) else ""
                    yield Function(prefix + node.name, signature, docstring, body)


@cache
def reference_paragraphs() -> tuple[tuple[str, str], ...]:
    """Return (topic, paragraph) of the language reference's running prose, each once."""
    paragraphs = {}
    for topic, text in sorted(topics.items()):
        for paragraph in text.split("\n\n"):
            # lists of terms, grammar and tables are left out
            if paragraph[:1].isalpha() and not re.search(r"\n |::=|\| ", paragraph):
                paragraphs.setdefault(" ".join(paragraph.split()), topic)
    return tuple((topic, paragraph) for paragraph, topic in paragraphs.items())
