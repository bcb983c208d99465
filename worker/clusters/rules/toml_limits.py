"""What a TOML text must not hold, found in one pass and before it is parsed. No I/O.

The parser takes minutes for a long key and raises other errors than its own for a long number. Also what breaks inline
tables, which the parser reports as something else.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worker.clusters.rules.toml_positions import Token

MOST_DIGITS = 100
"""Of a number. Those that mean something have at most 17."""

LONGEST_NAME = 200
"""Characters of one part of a key."""

MOST_PARTS = 10
"""Parts of a key with dots between them."""

DEEPEST = 100
"""Brackets and parts of keys inside each other. Conditions of the greatest depth need 40."""

_NUMBER = re.compile(r"[+-]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*)")


@dataclass(frozen=True, slots=True)
class Excess:
    """What is too long or too deep, in which line (from 1)."""

    line: int
    sentence: str


def find_excess(tokens: Sequence[Token]) -> Excess | None:
    """The first thing in a text that is beyond a limit of this module."""
    depth: list[int] = []
    total = parts = 0
    before = ""
    for i, (token, line) in enumerate(tokens):
        if token in ("[", "{"):
            depth.append(1 + (parts if before == "=" else 0))
            total += depth[-1]
            if total > DEEPEST:
                return Excess(line, f"tables and lists are nested more than {DEEPEST} deep: make it simpler")
        elif token in ("]", "}"):
            total -= depth.pop() if depth else 0
        elif token not in ("\n", "=", ",", ".", ""):
            parts = parts + 1 if before == "." else 1
            is_key = tokens[i + 1][0] in (".", "=", "]") and before != "="
            if (found := _long(token, is_key=is_key)) or parts > MOST_PARTS:
                return Excess(line, found or f"a name of more than {MOST_PARTS} parts: leave out some of its dots")
        before = token
    return None


def _long(token: str, *, is_key: bool) -> str:
    """What is wrong with the length of a name or value; empty if nothing is."""
    quoted = token[:1] in ('"', "'")
    if quoted and not is_key:
        return ""
    size = len(token) - 2 * quoted
    if size > MOST_DIGITS and _NUMBER.fullmatch(token):
        return f"a number of {size:,} digits: write one of at most 15 digits"
    return f"a name of {size:,} characters: write one of at most 64" if size > LONGEST_NAME else ""


def broken_table(tokens: Sequence[Token], line: int) -> Excess | None:
    """The inline table around `line` that is not on one line, or that has a comma before its end."""
    return next((found for found, last in _broken_tables(tokens) if found.line <= line <= last), None)


def _broken_tables(tokens: Sequence[Token]) -> Iterator[tuple[Excess, int]]:
    """Every inline table that is closed and broken, and the line of its end."""
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
                yield Excess(first, _SENTENCES[breaks]), line
        if token != "\n":
            before = token


_SENTENCES = {
    True: "an inline table { } must be on one line, without a comma before its }",
    False: "an inline table { } must not end with a comma: leave out the comma before }",
}
