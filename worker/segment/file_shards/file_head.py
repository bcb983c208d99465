"""Recognises the format of a shard by its first bytes, and refuses formats that cannot be read, by name."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Literal

from worker.errors import Permanent
from worker.http.body import parse_json
from worker.segment.export_file.file_formats import FileFormat, recognise_bytes
from worker.segment.export_file.file_opener import unreadable_file_error
from worker.segment.export_file.line_formats import Kind, judge_lines, most_frequent_kind
from worker.segment.file_shards.duckdb_connection import as_pattern
from worker.segment.file_shards.listing.shard import FileKind, compression_of_name, kind_of_name

if TYPE_CHECKING:
    import duckdb

Compression = Literal["none", "gzip", "zstd"]
LineLayout = Literal["object", "wide", "tall"]

HEAD_BYTES = 1 << 18
"""Bytes of a shard that are looked at, after decompression."""

_GZIP, _ZSTD, _PARQUET, _MARK = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"\xef\xbb\xbf"
_DELIMITERS = ",\t;|"
_READABLE: frozenset[Kind] = frozenset({"flat", "tall", "text traits"})
_WRITE_AGAIN = "Write the whole file again."
READABLE_FORMATS = "Parquet, CSV with a header, or one JSON object a line"


@dataclass(frozen=True)
class FileHead:
    """The format of a shard.

    Attributes:
        kind: Its format.
        compression: Of the whole file.
        layout: Of lines of JSON: objects with `traits`, or rows of columns, or a row for each trait.
        columns: Of a CSV file, the names in its header; of rows of JSON, the keys of its first rows. Empty otherwise.
        delimiter: Of a CSV file.
        is_text: Whether `traits` of lines of JSON are JSON that is written as text.
    """

    kind: FileKind
    compression: Compression
    layout: LineLayout = "object"
    columns: tuple[str, ...] = ()
    delimiter: str = ""
    is_text: bool = False


def read_head(name: str, opener: Callable[[], BinaryIO], path: str, connection: duckdb.DuckDBPyConnection) -> FileHead:
    """Reads the beginning of a shard.

    Args:
        name: Of the shard, for messages.
        opener: Opens the file.
        path: Where DuckDB finds the file.
        connection: Reads what Python cannot decompress.

    Raises:
        Permanent: `file_format`, `file_corrupt`.
        ResumableStop: `file_unreadable`.
    """
    try:
        with opener() as file:
            start = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable_file_error(name, error) from None
    if start.startswith(_PARQUET):
        return FileHead("parquet", "none")
    compression: Compression = "none"
    ended = len(start) < HEAD_BYTES
    if start.startswith(_GZIP):
        compression, (start, ended) = "gzip", (_gunzip(name, start), ended)
    elif start.startswith(_ZSTD):
        compression, (start, ended) = "zstd", (_first_lines(path, connection), False)
    elif compression_of_name(name):
        raise Permanent(
            "file_corrupt",
            f"File {name}: it is not compressed by {compression_of_name(name)} as its name says",
            hint=_WRITE_AGAIN,
        )
    return _text_head(name, start, compression, ended=ended and len(start) < HEAD_BYTES)


def _text_head(name: str, start: bytes, compression: Compression, *, ended: bool) -> FileHead:
    if kind_of_name(name) == "parquet":
        raise format_error(name, FileFormat("not a Parquet file, as its name says", "Write the file again"))
    text = start.removeprefix(_MARK).lstrip()
    is_csv = not text.startswith(b"{") and (
        kind_of_name(name) == "csv" or (_delimiter(text) and kind_of_name(name) is None)
    )
    if not (is_csv and text.startswith(b"[")) and (found := recognise_bytes(start)):
        raise format_error(name, found)
    if is_csv:
        return _csv_head(name, text, compression)
    lines: list[bytes | None] = [*start.removeprefix(_MARK).split(b"\n")]
    unfinished = not start.endswith(b"\n")
    last = lines.pop()
    if last and ended:
        lines.append(last)
    found = judge_lines(lines, ended=True, unfinished=unfinished and ended, readable=_READABLE).format
    if found is not None:
        raise format_error(name, found)
    kind = most_frequent_kind(lines, _READABLE | {"profile"})
    if kind in ("flat", "tall"):
        return FileHead("ndjson", compression, "tall" if kind == "tall" else "wide", _keys(lines))
    return FileHead("ndjson", compression, is_text=kind == "text traits")


def _csv_head(name: str, text: bytes, compression: Compression) -> FileHead:
    """Returns the header of a CSV file."""
    header = text.partition(b"\n")[0]
    delimiter = _delimiter(text) or ","
    try:
        names = next(csv.reader(io.StringIO(header.decode()), delimiter=delimiter), [])
    except (UnicodeDecodeError, csv.Error):
        names = []
    if not names or len({one.lower() for one in names}) < len(names) or not all(names):
        raise format_error(
            name,
            FileFormat(
                "CSV whose first line is not a header: names of columns, each once",
                "Export the profiles again with a header",
            ),
        )
    return FileHead("csv", compression, "wide", tuple(names), delimiter)


def _delimiter(text: bytes) -> str:
    """Returns the sign that separates the names in a header; empty if none of the usual ones is in it."""
    header = text.partition(b"\n")[0].decode(errors="replace")
    best = max(_DELIMITERS, key=header.count)
    return best if best in header else ""


def _keys(lines: list[bytes | None]) -> tuple[str, ...]:
    """Returns the keys of the first rows, in the order in which they appear."""
    found: dict[str, None] = {}
    for line in lines:
        with contextlib.suppress(ValueError):
            row = parse_json(line) if line else None
            if isinstance(row, dict):
                found.update(dict.fromkeys(row))
    return tuple(found)


def _gunzip(name: str, start: bytes) -> bytes:
    try:
        return gzip.GzipFile(fileobj=io.BytesIO(start)).read1(HEAD_BYTES)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Permanent(
            "file_corrupt",
            f"File {name}: its gzip data is damaged or ends too early",
            hint=_WRITE_AGAIN,
        ) from None


def _first_lines(path: str, connection: duckdb.DuckDBPyConnection) -> bytes:
    """Returns the first lines of a file that is compressed by zstd."""
    rows = connection.execute(
        "SELECT line FROM read_csv($1, columns = {'line': 'VARCHAR'}, delim = '\x01', quote = '', escape = '', "
        "header = false, auto_detect = false, compression = 'zstd', ignore_errors = true) LIMIT 100",
        [as_pattern(path)],
    ).fetchall()
    return "".join(f"{line or ''}\n" for (line,) in rows).encode()


def format_error(name: str, found: FileFormat) -> Permanent:
    """Returns the error for a file in a format that cannot be read."""
    return Permanent(
        "file_format",
        f"File {name}: it is {found.name}. It must hold {READABLE_FORMATS}",
        hint=f"{found.fix}, then start a sync of that file.",
    )
