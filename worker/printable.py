"""Makes text safe to show: values of profiles and answers of servers may contain control sequences. Pure."""

from __future__ import annotations

import json
import logging
import re

_NOT_ASCII = re.compile(r"[^\x20-\x7e]")


def printable(text: str) -> str:
    """Replaces each character that is not printable, except line feeds and tabs."""
    return text if text.isprintable() else "".join(map(_shown, text))


def json_text(value: object) -> str:
    """Writes a value as JSON on one line. Characters that are not printable are written as escapes."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return text if text.isprintable() else _NOT_ASCII.sub(_escape, text)


def _shown(char: str) -> str:
    return char if char.isprintable() or char in "\n\t" else "�"


def _escape(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


class PrintableFormatter(logging.Formatter):
    """Makes each log line printable, because messages quote answers of servers."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns a line that is printable."""
        return printable(super().format(record))
