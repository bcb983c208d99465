"""Reads a TOML text that a person wrote, or says in which line its first mistake is and how to correct it. No I/O."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from worker.toml.tokenizer import find_broken_table, find_limit_violation, tokenize

_FIXES = {
    "Invalid value": 'write text in straight quotes " ", true and false in small letters, and numbers in digits',
    "Invalid statement": "a line is name = value, [table] or a # comment",
    "Invalid initial character for a key part": "a quote or a bracket before it is not closed",
    "Illegal character": "a quote before it is not closed",
    "Unterminated string": "close it with a quote",
    "Unclosed array": "close it with ]",
    "Unclosed inline table": "close it with }",
    "Expected '='": "a line is name = value",
    "Cannot overwrite a value": "it is there already: leave one out",
    "Cannot declare": "it is there already: join both tables",
    "Cannot mutate immutable namespace": "it is there already, as a list in [ ] or a table in { }: leave one out",
    "Duplicate inline table key": "it is there already: leave one out",
}
"""Fixes by the beginning of the parser's message."""

_MOST_SHOWN = 80
"""Characters of a name that are compared with known ones."""


class MalformedToml(ValueError):
    """A text that cannot be read.

    Attributes:
        line: Number of the line, from 1.
        sentence: What is wrong. It quotes nothing of the text.
        fix: What to write instead; may be empty.
        parser_message: Of the parser of TOML, if it refused the text. It may quote the text.
    """

    def __init__(self, line: int, sentence: str, fix: str = "", *, parser_message: str = "") -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence
        self.fix = fix
        self.parser_message = parser_message


def read_toml(text: str, what: str, *, max_length: int, fixes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Reads a text, which may begin with a byte order mark, as some editors write it.

    Args:
        text: The text.
        what: What the file holds, for a text that is too long.
        max_length: Most characters.
        fixes: Fixes of this kind of file, by the beginning of the parser's message.

    Raises:
        MalformedToml: It cannot be read.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > max_length:
        raise MalformedToml(1, f"more than {max_length:,} characters: this is not a file of {what}")
    tokens = tokenize(text)
    if (violation := find_limit_violation(tokens)) is not None:
        raise MalformedToml(violation.line, violation.sentence)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
    found = re.search(r"line (\d+)", place)
    line = int(found[1]) if found else text.count("\n") + 1  # a message without a line refers to the end of the text
    if (table := find_broken_table(tokens, line)) is not None:
        raise MalformedToml(table.line, table.sentence)
    fix = next((fix for start, fix in {**_FIXES, **(fixes or {})}.items() if message.startswith(start)), "")
    column = re.search(r"column (\d+)", place)
    where = f" from column {column[1]} on" if column else ""
    raise MalformedToml(line, f"this is not TOML{where}", fix, parser_message=message)


def similar_name(name: str, known: Sequence[str], other_names: Mapping[str, str]) -> str:
    """Returns the known name that was probably meant; empty if none is similar.

    Args:
        name: As it was written.
        known: All names.
        other_names: Terms that people may write, in small letters, and the known name for each.
    """
    other = other_names.get(name.lower(), "")
    if other in known:
        return other
    return next(iter(get_close_matches(name[:_MOST_SHOWN], known, n=1)), "")
