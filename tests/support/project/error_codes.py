"""Every error code that the source can put into a failed sync or a command's error, found by reading the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
_CODE = re.compile(r"[a-z]+(_[a-z]+)*")
_RAISED_WITH_A_CODE = frozenset({"ApiError", "Retry", "WaitUntil", "ResumableStop", "Permanent", "SyncFailure"})
RESUMABLE = ("Retry", "WaitUntil", "ResumableStop", "SyncFailure")
_STORED_BY_LUA = re.compile(r"'error_code', '([a-z_]+)'")


@cache
def sync_error_codes() -> frozenset[str]:
    """The codes of `error.code` of a failed sync."""
    found = {code for path in _sources("worker") for code in _codes_of_failures(_parse(path))}
    scripts = "".join(path.read_text() for path in (ROOT / "worker").rglob("*.lua"))
    return frozenset(found | set(_STORED_BY_LUA.findall(scripts)))


@cache
def codes_of(*classes: str) -> frozenset[str]:
    """The codes with which these errors are raised by name."""
    trees = [_parse(path) for path in _sources("worker")]
    return frozenset(code for tree in trees for code in _first_arguments(tree, frozenset(classes)))


@cache
def command_error_codes() -> frozenset[str]:
    """The codes of commands that end before there is a sync: those of our exceptions, and of documents of an error."""
    paths = [path for package in ("producer", "worker") for path in _sources(package) if "sandbox" not in path.parts]
    trees = [_parse(path) for path in paths]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {each.name: set(map(ast.unparse, each.bases)) for each in classes}
    exceptions: set[str] = set()
    more = {"PersonasError"}
    while more - exceptions:  # a subclass may come before its base
        exceptions |= more
        more = {name for name, named in bases.items() if named & exceptions}
    found: set[str] = set()
    for each in classes:
        if each.name in exceptions:
            for part in each.body:
                if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "code":
                    found |= set(_strings(part.value))
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in exceptions:
                found |= {text for given in node.keywords if given.arg == "code" for text in _strings(given.value)}
            elif isinstance(node, ast.Dict):
                pairs = zip(node.keys, node.values, strict=True)
                found |= {text for key, value in pairs if _is(key, "error") for text in _code_of_document(value)}
            elif isinstance(node, ast.FunctionDef) and node.name == "error_code":
                returned = [part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value]
                found |= {text for value in returned for text in _strings(value)}
    return frozenset(found)


def _code_of_document(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if _is(key, "code"):
                yield from _strings(inner)


def _is(key: ast.expr | None, text: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == text


def _sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


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
