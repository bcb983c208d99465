"""Messages of the engine say what happened; the command line adds how to continue, as it knows what is possible."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import worker

ROOT = Path(worker.__file__).parent

ERRORS = {"ApiError", "Retry", "WaitUntil", "ResumableStop", "Permanent", "PersonaInDoubt", "TransportError"}

INSTRUCTION = re.compile(
    r"(?:[.;,] |^)(?:Check|check|Set|Put|Write|write|Start|Read|Top up|[Rr]aise|[Rr]un|Give|Export|Decompress|Wait) "
)
"""A sentence that asks the user to do something."""

ADVICE = re.compile(r"[Rr]esume (the sync|it|with)|run `?segment-personas (resume|sync|apply)")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module that is not a docstring."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """Every text of a module that is given to an error, other than as its hint."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS:
            for argument in (*call.args, *(one.value for one in call.keywords if one.arg != "hint")):
                for node in ast.walk(argument):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        yield node.lineno, node.value


def test_what_to_do_after_an_error_is_in_its_hint() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        for line, text in messages(path)
        if INSTRUCTION.search(text)
    ]
    assert found == []


def test_no_engine_message_says_resume_where_that_may_be_impossible() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sorted(ROOT.rglob("*.py"))
        if "sandbox" not in path.parts
        for line, text in texts(path)
        if ADVICE.search(text)
    ]
    assert found == []
