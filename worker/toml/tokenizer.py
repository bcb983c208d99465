"""Tokens of a TOML text: where everything is, and what the text must not contain.

The parser of the standard library reports positions only for what it cannot read, takes minutes for a long key, and
raises other errors than its own for a long number. Limits are therefore checked in one pass before parsing.
`line_numbers` relies on a text that `tomllib` has read; `tokenize` takes any text.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

MAX_DIGITS = 100
"""Most digits of a number. Meaningful ones have at most 17."""

MAX_NAME = 200
"""Most characters of one part of a key."""

MAX_PARTS = 10
"""Most parts of a dotted key."""

MAX_NESTING = 100
"""Deepest nesting of brackets and parts of keys. Conditions of the greatest depth need 40."""

_NUMBER = re.compile(r"[+-]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*)")

_TOKEN = re.compile(
    r'''
      (?P<space>[^\S\n]+|\ufeff|\#[^\n]*)
    | (?P<string>"""(?:\\.|[^\\])*?(?:"{3,5}|\Z)|\'\'\'.*?(?:\'{3,5}|\Z)|"(?:\\[^\n]|[^"\\\n])*"?|'[^'\n]*'?)
    | (?P<sign>[\n\[\]{}=,.])
    | (?P<bare>[^\s\[\]{}=,.\#"']+)
    ''',
    re.VERBOSE | re.DOTALL,
)

# A string that is not closed ends with its line or with the text, so no text is scanned twice.

Path = tuple[str | int, ...]
"""Keys and indices in lists, from the outermost in."""

Token = tuple[str, int]
"""A part of a text and its line, from 1."""


def tokenize(text: str) -> list[Token]:
    """Splits any text into strings, signs, names and values, without spaces and comments. The last token is empty."""
    line = 1
    tokens: list[Token] = []
    for found in _TOKEN.finditer(text):
        if found.lastgroup != "space":
            tokens.append((found[0], line))
        line += found[0].count("\n")
    return [*tokens, ("", line)]


def line_numbers(text: str) -> dict[Path, int]:
    """Returns the line, from 1, of each table, key and element of a list."""
    return _Scanner(text).scan()


def line_of(path: Path, numbers: Mapping[Path, int]) -> int:
    """Returns the line of a path, or of the nearest enclosing path that has one."""
    return next((numbers[path[:n]] for n in range(len(path), 0, -1) if path[:n] in numbers), 1)


@dataclass(frozen=True, slots=True)
class LimitViolation:
    """A part of a text that is too long or too deep, and its line, from 1."""

    line: int
    sentence: str


def find_limit_violation(tokens: Sequence[Token]) -> LimitViolation | None:
    """Returns the first violation of a limit of this module."""
    depth: list[int] = []
    total = parts = 0
    before = ""
    for i, (token, line) in enumerate(tokens):
        if token in ("[", "{"):
            depth.append(1 + (parts if before == "=" else 0))
            total += depth[-1]
            if total > MAX_NESTING:
                return LimitViolation(
                    line, f"tables and lists are nested more than {MAX_NESTING} deep: make it simpler"
                )
        elif token in ("]", "}"):
            total -= depth.pop() if depth else 0
        elif token not in ("\n", "=", ",", ".", ""):
            parts = parts + 1 if before == "." else 1
            is_key = tokens[i + 1][0] in (".", "=", "]") and before != "="
            if (found := _long(token, is_key=is_key)) or parts > MAX_PARTS:
                return LimitViolation(
                    line, found or f"a name of more than {MAX_PARTS} parts: leave out some of its dots"
                )
        before = token
    return None


def _long(token: str, *, is_key: bool) -> str:
    """Describes what is wrong with the length of a name or value; empty if nothing is."""
    quoted = token[:1] in ('"', "'")
    if quoted and not is_key:
        return ""
    size = len(token) - 2 * quoted
    if size > MAX_DIGITS and _NUMBER.fullmatch(token):
        return f"a number of {size:,} digits: write one of at most 15 digits"
    return f"a name of {size:,} characters: write one of at most 64" if size > MAX_NAME else ""


def find_broken_table(tokens: Sequence[Token], line: int) -> LimitViolation | None:
    """Returns the inline table around `line` that spans several lines or has a comma before its end."""
    return next((found for found, last in _broken_tables(tokens) if found.line <= line <= last), None)


def _broken_tables(tokens: Sequence[Token]) -> Iterator[tuple[LimitViolation, int]]:
    """Yields every closed inline table that is broken, and the line of its end."""
    opened: list[tuple[str, int]] = []
    broken: set[int] = set()
    before = ""
    for token, line in tokens:
        if token in ("[", "{"):
            opened.append((token, line))
        elif token == "\n" and opened and opened[-1][0] == "{":
            broken.add(len(opened))
        elif token in ("]", "}") and opened:
            breaks = len(opened) in broken
            broken.discard(len(opened))
            sign, first = opened.pop()
            if sign == "{" and token == "}" and (breaks or before == ","):
                yield LimitViolation(first, _SENTENCES[breaks]), line
        if token != "\n":
            before = token


_SENTENCES = {
    True: "an inline table { } must be on one line, without a comma before its }",
    False: "an inline table { } must not end with a comma: leave out the comma before }",
}


class _Scanner:
    def __init__(self, text: str) -> None:
        self._tokens = tokenize(text)
        self._at = 0
        self._numbers: dict[Path, int] = {}
        self._tables: dict[Path, int] = {}
        """Index of the last table of each list of tables."""

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
