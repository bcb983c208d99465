"""How values are written in JSON documents: times in ISO 8601, and the layout of a document on one or several lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from worker.printable import json_text


def iso_time(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_json(document: Mapping[str, object] | Iterable[Mapping[str, object]], *, one_line: bool = False) -> str:
    """Returns one JSON document: a line for each key, and for each entry of a list of objects, or all on one line."""
    if one_line:
        return _line(document if isinstance(document, Mapping) else list(document))
    if isinstance(document, Mapping):
        lines = [f"  {_line(key)}: {_value(value)}" for key, value in document.items()]
        return "{\n" + ",\n".join(lines) + "\n}"
    return "[" + ",\n".join(map(format_json, document)) + "]"


def _value(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n    " + ",\n    ".join(map(_line, value)) + "\n  ]"
    return _line(value)


def _line(value: object) -> str:
    return json_text(value)
