"""Every error code that the source can put into a failed sync or a command's error, found by reading the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_RAISED_WITH_A_CODE = frozenset({"ApiError", "Retry", "WaitUntil", "ResumableStop", "Permanent", "SyncFailure"})
RESUMABLE = ("Retry", "WaitUntil", "ResumableStop", "SyncFailure")
_STORED_BY_LUA = re.compile(r"'error_code', '([a-z_]+)'")


@cache
def sync_error_codes() -> frozenset[str]:
    """The codes of `error.code` of a failed sync."""
    found = {code for path in _sources("worker") for code in _codes_of_failures(ast.parse(path.read_text()))}
    scripts = "".join(path.read_text() for path in (ROOT / "worker").rglob("*.lua"))
    return frozenset(found | set(_STORED_BY_LUA.findall(scripts)))


@cache
def codes_of(*classes: str) -> frozenset[str]:
    """The codes with which these errors are raised by name."""
    trees = [ast.parse(path.read_text()) for path in _sources("worker")]
    return frozenset(code for tree in trees for code in _first_arguments(tree, frozenset(classes)))


@cache
def command_error_codes() -> frozenset[str]:
    """The codes of commands that end before there is a sync: attributes, keywords and results named `code`."""
    found: set[str] = set()
    for path in (*_sources("producer"), *_sources("worker")):
        if "sandbox" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword):
                found |= set(_strings(node.value)) if node.arg == "code" else set()
            elif isinstance(node, ast.Assign):
                found |= set(_strings(node.value)) if ast.unparse(node.targets[0]) == "code" else set()
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                named = [value for key, value in pairs if key is not None and ast.unparse(key) == "'code'"]
                found |= {text for value in named for text in _strings(value)}
            elif isinstance(node, ast.FunctionDef) and node.name == "error_code":
                found |= {
                    text
                    for part in ast.walk(node)
                    if isinstance(part, ast.Return) and part.value
                    for text in _strings(part.value)
                }
    return frozenset(found)


def _sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _codes_of_failures(tree: ast.Module) -> Iterator[str]:
    """First arguments of the errors that stop a sync, of their subclasses too, and the codes of guards."""
    yield from _first_arguments(tree, _RAISED_WITH_A_CODE)
    has_subclass = any(
        {ast.unparse(base) for base in node.bases} & _RAISED_WITH_A_CODE
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    if has_subclass:
        yield from (code for code in _first_arguments(tree, frozenset({"__init__"})) if "_" in code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("guard_"):
            yield node.value


def _first_arguments(tree: ast.Module, called: frozenset[str]) -> Iterator[str]:
    """The texts that calls of these names are given first, directly or through a variable of the same module."""
    values: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                values.setdefault(ast.unparse(target), []).append(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).rsplit(".", 1)[-1] in called:
            first = node.args[0]
            for value in values.get(first.id, []) if isinstance(first, ast.Name) else [first]:
                yield from _strings(value)


def _strings(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.IfExp):
        yield from _strings(node.body)
        yield from _strings(node.orelse)
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _CODE.fullmatch(node.value):
        yield node.value
