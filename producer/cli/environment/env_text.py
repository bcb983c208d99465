"""The text of a `.env` file: its variables, and the same text with other values. Pure.

python-dotenv parses it. A value is literal: `$` and backquotes mean nothing. What is written can be read back, and
values without special characters are written bare, so that `docker run --env-file` and a shell read the same.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping

from dotenv.parser import Binding, parse_stream

_BARE = re.compile(r"[A-Za-z0-9_%+=:,./@-]*")
_NAME = re.compile(r"(\s*)(export[^\S\r\n]+)?")
_VALUE = re.compile(
    r"""[^\S\r\n]*(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|[^\r\n]*?(?=\s+\#|[^\S\r\n]*(?:[\r\n]|\Z))""", re.DOTALL
)


class MalformedLine(ValueError):
    """A line that is not a variable, a comment or empty.

    Attributes:
        line: Its number, from 1.
    """

    def __init__(self, line: int) -> None:
        super().__init__(f"line {line} cannot be read")
        self.line = line


def parse_env(text: str) -> dict[str, str | None]:
    """Returns the variables of a file, by name; the last of several lines wins. A name without `=` has the value None.

    Raises:
        MalformedLine: A line cannot be read.
    """
    return {binding.key: binding.value for binding in _bindings(text) if binding.key is not None}


def line_of(text: str, name: str) -> int:
    """Returns the number of the line that sets a variable of the text."""
    return max(_line(binding) for binding in _bindings(text) if binding.key == name)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Returns the text with other values for some variables. All other lines, and comments, are kept.

    Raises:
        MalformedLine: A line cannot be read.
    """
    bindings = list(_bindings(text))
    last = {binding.key: index for index, binding in enumerate(bindings)}
    lines = [binding.original.string for binding in bindings]
    for name, value in values.items():
        if name in last:
            lines[last[name]] = _changed(lines[last[name]], name, value)
    end = "\r\n" if "\r\n" in text else "\n"
    changed = "".join(lines)
    added = "".join(f"{name}={quoted(value)}{end}" for name, value in values.items() if name not in last)
    return changed + (end if added and changed and not changed.endswith(("\n", "\r")) else "") + added


def quoted(value: str) -> str:
    """Returns a value as written to the file: bare if every reader understands it so, else in single quotes."""
    if _BARE.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _bindings(text: str) -> Iterator[Binding]:
    for binding in parse_stream(io.StringIO(text, newline="")):
        if binding.error:
            raise MalformedLine(_line(binding))
        yield binding


def _line(binding: Binding) -> int:
    """Returns the line on which a binding starts: its text begins with the empty lines before it."""
    text = binding.original.string
    before = text[: len(text) - len(text.lstrip())]
    return binding.original.line + len(re.findall(r"\r\n|\n|\r", before))


def _changed(line: str, name: str, value: str) -> str:
    """Returns a line with another value, and its comment."""
    start = _NAME.match(line)
    assert start is not None
    _, equals, rest = line[start.end() :].partition("=")
    found = _VALUE.match(rest) if equals else None
    after = rest[found.end() :] if found else line[len(line.rstrip("\r\n")) :]
    return f"{start[0]}{name}={quoted(value)}{after}"
