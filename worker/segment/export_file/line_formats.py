"""Recognises formats that are not supported by their first lines: CSV, pretty-printed JSON, rows of columns. Pure.

A file is judged once, by its first lines that are not blank. If any of them is a profile the format is supported, and a
bad line among them is only a bad line.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from worker.http.body import parse_json
from worker.segment.export_file.file_formats import FileFormat

JUDGED_LINES = 20
"""Number of lines by which the format is recognised."""

JUDGED_BYTES = 1 << 20
"""Fewer lines are used if they have this many bytes."""

_ENVELOPE = frozenset(
    {
        *("id", "segment_id", "canonical_segment_id", "user_id", "anonymous_id", "merged_to", "external_ids"),
        *("identifiers", "metadata", "created_at", "updated_at", "collection", "type", "seq"),
    }
)
"""Fields beside the traits of a profile. Rows of these alone are profiles without traits."""

_DELIMITERS = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars"}

Kind = Literal["profile", "bare", "flat", "tall", "wrapped", "text traits", "quoted", "array", "value", "broken"]

_FORMATS: Mapping[Kind, FileFormat] = {
    "flat": FileFormat(
        "flat: its lines are rows of columns without an object of traits",
        "Put the columns into traits, for example with "
        "`jq -c '{id: (.id // .canonical_segment_id), merged_to, traits: del(.merged_to)}' FILE > profiles.ndjson`",
    ),
    "tall": FileFormat(
        "tall: its lines are single traits (such as those of Segment's user_traits), not profiles",
        "Group the rows by profile in the warehouse, for example with json_object_agg(name, value)",
    ),
    "wrapped": FileFormat(
        "JSON objects that hold profiles in a field, not profiles",
        "Write the inner objects a line each, for example with `jq -c '.profiles[]' FILE > profiles.ndjson`",
    ),
    "text traits": FileFormat(
        "lines whose traits are JSON written as text in quotes",
        "Parse the text, for example with `jq -c '.traits |= fromjson' FILE > profiles.ndjson`",
    ),
    "quoted": FileFormat(
        "lines of JSON written as text in quotes",
        "Export the column of JSON without quotes and without a header",
    ),
    "array": FileFormat(
        "a JSON array",
        "Write each element as an object in a separate line, for example with `jq -c '.[]' FILE > profiles.ndjson`",
    ),
}

_CSV_FIX = "Export the profiles again as newline-delimited JSON"
_PRETTY = FileFormat(
    "pretty-printed JSON: an object takes several lines",
    "Write each object in one line, for example with `jq -c . FILE > profiles.ndjson`",
)
_COMMAS = FileFormat(
    "JSON objects with commas between them",
    "Take the comma at the end of each line away, for example with sed 's/,$//'",
)
_GLUED = FileFormat(
    "JSON objects without line ends between them",
    "Write each object in one line, for example with `jq -c . FILE > profiles.ndjson`",
)
_BACKSLASHES = FileFormat(
    "JSON with doubled backslashes, as COPY of Postgres writes it",
    "Export with `psql --no-align --tuples-only` instead of COPY",
)
_LONG = FileFormat(
    "not divided into lines: its first line has more than 4 MiB",
    "Write each object in one line, for example with `jq -c . FILE > profiles.ndjson`",
)
_BROKEN = FileFormat(
    "lines that begin as JSON objects and are cut off or malformed",
    "Export the profiles again, each as valid JSON in one line",
)
_TEXT = FileFormat("text that is not JSON", _CSV_FIX)


@dataclass(frozen=True)
class Judgement:
    """A judgement of the first lines.

    Attributes:
        certain: Whether further lines cannot change it.
        format: The unsupported format; None if the format is supported.
    """

    certain: bool
    format: FileFormat | None = None


def judge_lines(
    lines: Sequence[bytes | None], *, ended: bool, unfinished: bool, readable: frozenset[Kind] = frozenset()
) -> Judgement:
    """Judges a file by its first lines (None for one that is too long).

    Args:
        lines: the first lines of the file, without their ends.
        ended: whether they are all that the file has.
        unfinished: whether the last line has no end.
        readable: kinds of lines that the reader supports beside profiles.
    """
    filled = [line for line in lines if line is None or line.strip(b"\xef\xbb\xbf \t\r\v\f")]
    judged = filled[:JUDGED_LINES]
    kinds = [_kind(line) for line in judged]
    if "profile" in kinds:
        return Judgement(certain=True)
    enough = len(judged) == JUDGED_LINES or sum(len(line) for line in judged if line) >= JUDGED_BYTES
    if not (ended or enough):
        return Judgement(certain=False)
    if unfinished and len(filled) == 1 and _is_cut_object(filled[0]):
        return Judgement(certain=True)  # one object that is cut off, which is not a question of the format
    return Judgement(certain=True, format=_format(judged, kinds, readable))


def most_frequent_kind(lines: Sequence[bytes | None], kinds: frozenset[Kind]) -> Kind | None:
    """Returns the most frequent of these kinds among the first lines; None if no line is of one of them."""
    filled = [line for line in lines if line is None or line.strip(b"\xef\xbb\xbf \t\r\v\f")]
    counts = Counter(kind for kind in map(_kind, filled[:JUDGED_LINES]) if kind in kinds)
    return counts.most_common(1)[0][0] if counts else None


def _is_cut_object(line: bytes | None) -> bool:
    text = "" if line is None else line.decode("utf-8-sig", "replace").lstrip()
    return text.startswith("{") and _end_of_object(text) is None


def _format(
    lines: Sequence[bytes | None], kinds: Sequence[Kind], readable: frozenset[Kind] = frozenset()
) -> FileFormat | None:
    counts = Counter(kinds)
    if 2 * counts["broken"] >= len(kinds) > 0 or counts["value"] == len(kinds) > 0:
        return _of_text([line.decode("utf-8-sig", "replace") for line in lines if line is not None])
    named = [kind for kind in counts if kind in _FORMATS and kind not in readable]
    if readable & counts.keys() or not named or counts["bare"] > max(counts[kind] for kind in named):
        return None
    return _FORMATS[max(named, key=lambda kind: counts[kind])]


def _kind(line: bytes | None) -> Kind:
    if line is None:
        return "broken"
    try:
        value = parse_json(line)
    except ValueError:
        return "quoted" if line.lstrip(b"\xef\xbb\xbf \t").startswith((b'"{', b"'{")) else "broken"
    if isinstance(value, dict):
        return _kind_of_object(value)
    if isinstance(value, str):
        return "quoted" if value.lstrip().startswith("{") else "value"
    return "array" if isinstance(value, list) else "value"


def _kind_of_object(row: Mapping[str, object]) -> Kind:
    if "traits" in row:
        return "text traits" if isinstance(row["traits"], str) and row["traits"].lstrip().startswith("{") else "profile"
    if row.keys() <= _ENVELOPE:
        return "bare"
    if any(_holds_profiles(value) for value in row.values()):
        return "wrapped"
    names = {name.lower() for name in row}
    return "tall" if "value" in names and names & {"name", "trait", "trait_name", "key"} else "flat"


def _holds_profiles(value: object) -> bool:
    """Returns whether a field contains a profile or a list of profiles, at most two objects deep."""
    inner = list(value.values()) if isinstance(value, dict) else []
    if isinstance(value, dict) and "traits" in value:
        return True
    return any(
        isinstance(one, list) and any(isinstance(entry, dict) and "traits" in entry for entry in one[:JUDGED_LINES])
        for one in (value, *inner)
    )


def _of_text(lines: Sequence[str]) -> FileFormat:
    """Returns the format of lines of which most are not JSON. No lines: there is one that is too long."""
    if not lines:
        return _LONG
    first = lines[0].strip()
    if first.startswith("["):
        return _FORMATS["array"]
    if first.startswith("{"):
        return _of_broken_object(first, lines)
    if any(line.lstrip().startswith(('"{', "'{")) for line in lines):
        return _FORMATS["quoted"]
    for sign, name in _DELIMITERS.items():
        if sign in first and 2 * sum(sign in line for line in lines) > len(lines):
            return FileFormat(f"{'TSV' if sign == chr(9) else 'CSV'} (columns separated by {name})", _CSV_FIX)
    return _TEXT


def _of_broken_object(first: str, lines: Sequence[str]) -> FileFormat:
    """Returns the format of lines of which the first begins an object, and is not one."""
    end = _end_of_object(first)
    if end is not None:
        rest = first[end:].lstrip()
        return _GLUED if rest.startswith("{") else _COMMAS if rest.startswith(",") else _BROKEN
    if _end_of_object("\n".join(lines)) is not None:
        return _PRETTY
    if '\\\\"' in first:
        return _BACKSLASHES
    return _BROKEN if all(line.lstrip().startswith("{") for line in lines[:-1]) and first != "{" else _PRETTY


def _end_of_object(text: str) -> int | None:
    """Returns the end of the object with which a text begins; None if it does not begin with one."""
    try:
        return json.JSONDecoder(parse_int=lambda _: math.nan).raw_decode(text.lstrip())[1] + _indent(text)
    except (ValueError, RecursionError):
        return None


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def is_json(lines: Iterable[bytes]) -> bool:
    """Returns whether each of these lines is a JSON value."""
    try:
        for line in lines:
            parse_json(line)
    except ValueError:
        return False
    return True
