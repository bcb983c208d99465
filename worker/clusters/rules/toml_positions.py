"""Where everything stands in a TOML text: the parser of the standard library says it only for what it cannot read.

`line_numbers` relies on a text that `tomllib` has read, so that nothing has to be checked again; `split` takes any.
"""

import re
from collections.abc import Callable, Mapping

from worker.clusters.rules.validation import Path

_TOKEN = re.compile(
    r'''
      (?P<space>[^\S\n]+|\#[^\n]*)
    | (?P<string>"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)|\'\'\'.*?(?:\'{3,5}|\Z)|"(?:\\[^\n]|[^"\\\n])*"?|'[^'\n]*'?)
    | (?P<sign>[\n\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    ''',
    re.VERBOSE | re.DOTALL,
)

# A string that is not closed ends with its line, or with the text: nothing is looked at twice.

Token = tuple[str, int]
"""A part of a text, and its line, from 1."""


def split(text: str) -> list[Token]:
    """The strings, signs, names and values of any text, without spaces and comments; the last one is empty."""
    line = 1
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "space":
            tokens.append((found[0], line))
        line += found[0].count("\n")
    return [*tokens, ("", line)]


def line_numbers(text: str) -> dict[Path, int]:
    """The line, from 1, of each table, key and element of a list."""
    return _Scanner(text).scan()


def line_of(path: Path, numbers: Mapping[Path, int]) -> int:
    """The line of what is at `path`, or of the nearest thing around it that is there."""
    return next((numbers[path[:n]] for n in range(len(path), 0, -1) if path[:n] in numbers), 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._tokens = split(text)
        self._at = 0
        self._numbers: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        """Of each list of tables the index of the last one."""

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._next:
            if self._next == "\n":
                self._take()
            elif self._next == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._numbers

    @property
    def _next(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][1]

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][0]

    def _header(self) -> Path:
        line = self._line
        self._take()
        is_list = self._next == "["
        if is_list:
            self._take()
        *around, last = self._key()
        path: Path = ()
        for name in around:
            path = (*path, name)
            self._numbers.setdefault(path, line)
            if path in self._tables:
                path = (*path, self._tables[path])
        path = (*path, last)
        if is_list:
            self._numbers.setdefault(path, line)
            self._tables[path] = self._tables.get(path, -1) + 1
            path = (*path, self._tables[path])
        self._numbers[path] = line
        while self._next == "]":
            self._take()
        return path

    def _key(self) -> list[str]:
        names = [self._take().strip("\"'")]
        while self._next == ".":
            self._take()
            names.append(self._take().strip("\"'"))
        return names

    def _pair(self, table: Path) -> None:
        line, path = self._line, table
        for name in self._key():
            path = (*path, name)
            self._numbers.setdefault(path, line)
        self._take()  # the sign between key and value
        self._value(path)

    def _value(self, path: Path) -> None:
        if self._next == "[":
            self._members("]", lambda index: self._element((*path, index)))
        elif self._next == "{":
            self._members("}", lambda _: self._pair(path))
        else:
            while self._next not in ("\n", ",", "]", "}", ""):
                self._take()

    def _element(self, path: Path) -> None:
        self._numbers[path] = self._line
        self._value(path)

    def _members(self, end: str, read: Callable[[int], None]) -> None:
        self._take()
        index = 0
        while self._next != end:
            if self._next in ("\n", ","):
                self._take()
            else:
                read(index)
                index += 1
        self._take()
