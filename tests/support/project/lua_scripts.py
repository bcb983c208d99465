"""The Lua scripts of the store: their typed faces, and the names that a Lua text uses."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import worker.store.scripts as package
from worker.store.typed_script.lua_script import LuaScript

FOLDER = Path(str(files("worker.store"))) / "lua"

_TOKEN = re.compile(
    r"(?P<skip>--[^\n]*|'[^'\n]*'|\"[^\"\n]*\"|\s+)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<other>\.\.|[=~<>]=|.)"
)
_KEYWORDS = frozenset(
    {
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not"),
        *("or", "repeat", "return", "then", "true", "until", "while"),
    }
)
BUILT_IN = frozenset(
    {
        *("redis", "KEYS", "ARGV", "string", "table", "math", "ipairs", "pairs", "unpack", "select", "tonumber"),
        *("tostring", "type"),
    }
)
"""What Redis gives a script."""


def typed_scripts() -> dict[str, LuaScript[..., Any]]:
    """Returns every script with a typed face, by its name."""
    modules = [import_module(f"{package.__name__}.{one.name}") for one in pkgutil.iter_modules(package.__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, LuaScript)]
    return {script.name: script for script in found}


def lua_files() -> list[str]:
    """Returns the names of all scripts, without the library."""
    names = (str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.lua"))
    return sorted(name for name in names if not name.startswith("lib/"))


def tokens(text: str) -> list[str]:
    """Returns the tokens of a Lua text, without strings and comments."""
    return [match.group() for match in _TOKEN.finditer(text) if match.lastgroup != "skip"]


def declared_names(text: str) -> set[str]:
    """Returns the names that a Lua text declares: locals, functions, parameters and loop variables."""
    found: set[str] = set()
    words = tokens(text)
    for at, word in enumerate(words):
        if word == "function":
            opening = words.index("(", at)
            found |= set(words[at + 1 : words.index(")", opening)]) - {"(", ",", "."}
        elif word in ("local", "for") and words[at + 1] != "function":
            end = next(i for i in range(at + 1, len(words)) if words[i] not in (",",) and _is_last(words, i))
            found |= {name for name in words[at + 1 : end + 1] if name != ","}
    return found


def _is_last(words: list[str], at: int) -> bool:
    return at + 1 >= len(words) or words[at + 1] != ","


def used_names(text: str) -> set[str]:
    """Returns the variables that a Lua text reads or calls: no fields, no keys of tables, no keywords."""
    found: set[str] = set()
    words = tokens(text)
    for at, word in enumerate(words):
        before, after = words[at - 1] if at else "", words[at + 1] if at + 1 < len(words) else ""
        is_name = re.fullmatch(r"[A-Za-z_]\w*", word) and word not in _KEYWORDS
        is_table_key = after == "=" and before in ("{", ",") and _inside_braces(words, at)
        if is_name and before not in (".", ":") and not is_table_key:
            found.add(word)
    return found


def _inside_braces(words: list[str], at: int) -> bool:
    """Whether the innermost bracket that is open before `at` is a brace."""
    depth = 0
    for word in reversed(words[:at]):
        if word in ")}]":
            depth += 1
        elif word in "({[":
            if depth == 0:
                return word == "{"
            depth -= 1
    return False


def fields_of(text: str, name: str) -> set[str]:
    """Returns the fields that a Lua text reads from the variable `name`, with dots between nested ones."""
    words, found = tokens(text), set()
    for at, word in enumerate(words):
        if word != name or (at and words[at - 1] == "."):
            continue
        path = []
        while at + 2 < len(words) and words[at + 1] == "." and re.fullmatch(r"[A-Za-z_]\w*", words[at + 2]):
            path.append(words[at + 2])
            at += 2
        if path:
            found.add(".".join(path))
    return found


def answered_words(text: str) -> set[str]:
    """Returns the words with which a Lua text answers."""
    return set(re.findall(r"return (?:nil, )?\{ '(\w+)'", text))
