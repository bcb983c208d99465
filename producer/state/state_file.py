"""The file of `state export`: JSON lines with a header, and a last line with a checksum. Pure.

    {"format":"segment-personas-state","version":1,"program":"0.2.0","exported_at":"2026-11-29T05:00:00Z"}
    {"kind":"record","account":"live-0f…","reference":"…","value":"{…}"}
    {"kind":"claim","account":"live-0f…","reference":"…","fields":{"by":"…","sync":"…","at":"…","settle_ms":"…"}}
    {"kind":"history","identity":"…","entries":["{…}"]}
    {"kind":"end","rows":3,"sha256":"…"}

Names are without `REDIS_PREFIX`. The checksum is that of all bytes before the last line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from worker.clusters.analysis.snapshot import Snapshot
from worker.errors import ConfigurationError
from worker.models.versions import NewerVersion
from worker.store import PersonaRecord
from worker.store.transfer.state_copy import StateCopy

FORMAT = "segment-personas-state"
VERSION = 1
"""Version of the file. A version that earlier ones cannot read writes a higher number."""

Account = Annotated[str, StringConstraints(pattern=r"^(live|test)(-[0-9a-f]{12}|\.[a-z0-9][a-z0-9_-]{0,39})$")]
"""As `account_name` and `file_account_name` make it."""
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$")]
Identity = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]
Digits = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,16}$")]


class StateFileUnusable(ConfigurationError):
    """A file is not a whole file of `state export`, or a newer version wrote it. Nothing was imported."""

    code = "state_file_unusable"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _RecordRow(_Row):
    kind: Literal["record"] = "record"
    account: Account
    reference: Name
    value: str


class _ClaimFields(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str]

    by: Name
    sync: Name
    at: Digits
    settle_ms: Digits | None = None


class _ClaimRow(_Row):
    kind: Literal["claim"] = "claim"
    account: Account
    reference: Name
    fields: _ClaimFields


class _HistoryRow(_Row):
    kind: Literal["history"] = "history"
    identity: Identity
    entries: list[str]


_ROW: TypeAdapter[_RecordRow | _ClaimRow | _HistoryRow] = TypeAdapter(
    Annotated[_RecordRow | _ClaimRow | _HistoryRow, Field(discriminator="kind")]
)


def encode_state(copy: StateCopy, *, program: str, exported_at: str) -> str:
    """Returns the text of a file. Equal copies have equal rows.

    Args:
        copy: What to write.
        program: The version of this program, for people.
        exported_at: When the copy was made, ISO 8601, for people.

    Raises:
        StateFileUnusable: The state has a row that could not be imported again.
    """
    header = {"format": FORMAT, "version": VERSION, "program": program, "exported_at": exported_at}
    lines = [orjson.dumps(header), *map(orjson.dumps, _rows(copy))]
    for number, line in enumerate(lines[1:], 2):
        _read_row(number, line)
    body = b"".join(line + b"\n" for line in lines)
    return (body + _end(body, len(lines) - 1)).decode()


def decode_state(name: str, raw: bytes) -> StateCopy:
    """Returns what `encode_state` wrote.

    Args:
        name: The file, for messages.
        raw: Its bytes.

    Raises:
        StateFileUnusable: It is of a newer version, cut off, changed, or not a file of `state export`.
    """
    header = _header(name, raw)
    if header["version"] > VERSION:
        raise _newer(name, f"version {header['version']} of the format, written by {header.get('program')}")
    body, _, _ = raw.removesuffix(b"\n").rpartition(b"\n")
    body += b"\n"
    lines = body.split(b"\n")[1:-1]
    if raw != body + _end(body, len(lines)):
        raise StateFileUnusable(
            f"{name} is cut off or was changed: its last line does not match the lines before it. Nothing was imported",
            hint="Export the state again.",
        )
    records, claims, histories = {}, {}, {}
    try:
        for number, line in enumerate(lines, 2):
            row = _read_row(number, line)
            if isinstance(row, _RecordRow):
                PersonaRecord.decode(row.value.encode())
                records[row.account, row.reference] = row.value
            elif isinstance(row, _ClaimRow):
                claims[row.account, row.reference] = row.fields.model_dump(exclude_none=True)
            else:
                for entry in row.entries:
                    Snapshot.decode(entry)
                histories[row.identity] = tuple(row.entries)
    except NewerVersion as error:
        raise _newer(name, str(error)) from None
    except StateFileUnusable:
        raise
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateFileUnusable(
            f"{name}, line {number}: {type(error).__name__}. It is not a row that this program writes. "
            "Nothing was imported"
        ) from None
    return StateCopy(records, claims, histories)


def _rows(copy: StateCopy) -> Iterator[dict[str, object]]:
    for (account, reference), value in sorted(copy.records.items()):
        yield {"kind": "record", "account": account, "reference": reference, "value": value}
    for (account, reference), fields in sorted(copy.claims.items()):
        yield {"kind": "claim", "account": account, "reference": reference, "fields": dict(sorted(fields.items()))}
    for identity, entries in sorted(copy.histories.items()):
        yield {"kind": "history", "identity": identity, "entries": list(entries)}


def _read_row(number: int, line: bytes) -> _RecordRow | _ClaimRow | _HistoryRow:
    try:
        return _ROW.validate_json(line)
    except ValidationError as error:
        where = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        raise StateFileUnusable(
            f"Line {number} of the state file is not a row that this program reads ({where or 'not JSON'})"
        ) from None


def _header(name: str, raw: bytes) -> dict[str, int]:
    try:
        header = orjson.loads(raw.split(b"\n", 1)[0])
    except ValueError:
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT or type(header.get("version")) is not int:
        raise StateFileUnusable(f"{name} is not a file of `segment-personas state export`. Nothing was imported")
    return header


def _end(body: bytes, rows: int) -> bytes:
    """Returns the last line of a file.

    Args:
        body: The lines before it.
        rows: Number of rows in `body`.
    """
    return orjson.dumps({"kind": "end", "rows": rows, "sha256": hashlib.sha256(body).hexdigest()}) + b"\n"


def _newer(name: str, found: str) -> StateFileUnusable:
    return StateFileUnusable(
        f"{name} was written by a newer version of segment-personas ({re.sub(r'[^ -~]', '?', found)[:200]}). "
        "Nothing was imported",
        hint="Install that version here, and import the file with it.",
    )
