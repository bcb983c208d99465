"""Recognises formats of files that are not supported, by their first bytes. Pure.

`line_formats` recognises formats by the first lines.
"""

from __future__ import annotations

from dataclasses import dataclass

EXPECTED_FORMAT = 'one JSON object a line, such as {"id": "use_1", "traits": {"ltv": 1200}}'
"""Describes the supported format, for messages."""

HEAD_BYTES = 4096
"""Number of bytes by which a format is recognised; fewer if the file is shorter."""

_EXPORT = "Export the profiles again as newline-delimited JSON"


@dataclass(frozen=True)
class FileFormat:
    """A format that is not supported.

    Attributes:
        name: Completes "it is …".
        fix: What to do, a sentence without its full stop.
    """

    name: str
    fix: str


def _uncompressed_by(name: str, command: str) -> FileFormat:
    return FileFormat(name, f"Decompress it, for example with `{command}`; only gzip is read compressed")


_ZIP = _uncompressed_by("a zip archive", "unzip -p FILE > profiles.ndjson")
_EXCEL = FileFormat("an Excel workbook", _EXPORT)
_ZSTD = _uncompressed_by("compressed by zstd", "zstd -dc FILE > profiles.ndjson")
_XZ = _uncompressed_by("compressed by xz or lzma", "xz -dc FILE > profiles.ndjson")
_SNAPPY = _uncompressed_by("compressed by snappy", "snzip -dc FILE > profiles.ndjson")
_TAR = _uncompressed_by("a tar archive", "tar -xOf FILE > profiles.ndjson")
_GZIP = _uncompressed_by("compressed by gzip twice", "gzip -dc FILE > profiles.ndjson.gz")
_MARKUP = FileFormat("HTML or XML", _EXPORT)
_ARROW = FileFormat("an Arrow or Feather file", _EXPORT)
_SEQUENCE = FileFormat(
    "a JSON text sequence (RFC 7464), in which a control character begins each record",
    "Remove those characters, for example with `tr -d '\\036' < FILE > profiles.ndjson`",
)
_ARRAY = FileFormat(
    "a JSON array", "Write its elements a line each, for example with `jq -c '.[]' FILE > profiles.ndjson`"
)
_BINARY = FileFormat("binary data in a format that is not known", _EXPORT)

_BEGINNINGS: tuple[tuple[bytes, FileFormat], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", _EXCEL),
    (b"PK\x03\x04", _ZIP),
    (b"PK\x05\x06", _ZIP),
    (b"PK\x07\x08", _ZIP),
    (b"BZh", _uncompressed_by("compressed by bzip2", "bzip2 -dc FILE > profiles.ndjson")),
    (b"\xfd7zXZ\x00", _XZ),
    (b"\x5d\x00\x00", _XZ),
    (b"LZIP\x01", _uncompressed_by("compressed by lzip", "lzip -dc FILE > profiles.ndjson")),
    (b"\x28\xb5\x2f\xfd", _ZSTD),
    (b"\x04\x22\x4d\x18", _uncompressed_by("compressed by lz4", "lz4 -dc FILE > profiles.ndjson")),
    (b"\xff\x06\x00\x00sNaPpY", _SNAPPY),
    (b"\x82SNAPPY\x00", _SNAPPY),
    (b"7z\xbc\xaf\x27\x1c", _uncompressed_by("a 7-Zip archive", "7z x -so FILE > profiles.ndjson")),
    (b"Rar!\x1a\x07", _uncompressed_by("a RAR archive", "unrar p -inul FILE > profiles.ndjson")),
    (b"\x1f\x9d", _uncompressed_by("compressed by compress", "gzip -dc FILE > profiles.ndjson")),
    (b"\x1f\x8b", _GZIP),
    (b"PAR1", FileFormat("a Parquet file", _EXPORT)),
    (b"PARE", FileFormat("an encrypted Parquet file", _EXPORT)),
    (b"Obj\x01", FileFormat("an Avro file", _EXPORT)),
    (b"ORC", FileFormat("an ORC file", _EXPORT)),
    (b"ARROW1", _ARROW),
    (b"FEA1", _ARROW),
    (b"\x89HDF\r\n\x1a\n", FileFormat("an HDF5 file", _EXPORT)),
    (b"SQLite format 3\x00", FileFormat("an SQLite database", _EXPORT)),
    (b"PGDMP", FileFormat("a dump of pg_dump", _EXPORT)),
    (b"PGCOPY\n\xff\r\n\x00", FileFormat("a binary COPY of Postgres", _EXPORT)),
    (b"%PDF-", FileFormat("a PDF document", _EXPORT)),
    (b"\x1e", _SEQUENCE),
)

_ZLIB = tuple(b"\x78" + level for level in (b"\x01", b"\x5e", b"\x9c", b"\xda"))
"""The first bytes of zlib data. Only `x^` could also be text."""

_UTF_32_MARKS = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def recognise_bytes(head: bytes) -> FileFormat | None:
    """Returns the format of a file that begins with `head` (see `HEAD_BYTES`); None if it may be lines of JSON."""
    return _from_signature(head) or _from_encoding(head) or _from_text(head)


def _from_signature(head: bytes) -> FileFormat | None:
    found = next((format_ for beginning, format_ in _BEGINNINGS if head.startswith(beginning)), None)
    if found is _ZIP and (b"[Content_Types].xml" in head or b"xl/" in head):
        return _EXCEL
    if found is None and head[257:262] == b"ustar":
        return _TAR
    if found is None and head[8:12] == b"DUCK":
        return FileFormat("a DuckDB database", _EXPORT)
    if found is None and head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return _ZSTD
    if found is None and head.startswith(_ZLIB) and not head[:64].isascii():
        return FileFormat("compressed by zlib (deflate)", "Compress it by gzip instead")
    return found


def _from_encoding(head: bytes) -> FileFormat | None:
    """UTF-16 and UTF-32, by their mark or by where the zeros of ASCII characters are."""
    zeros = tuple(byte == 0 for byte in head[:4])
    if head.startswith(_UTF_32_MARKS) or zeros in ((True, True, True, False), (False, True, True, True)):
        return _encoded("UTF-32", head, little=head[:1] != b"\x00")
    # The second character of a short file may be missing.
    if head.startswith(_UTF_16_MARKS) or zeros[:2] in ((True, False), (False, True)):
        return _encoded("UTF-16", head, little=head[:2] == b"\xff\xfe" or head[1:2] == b"\x00")
    return None


def _encoded(name: str, head: bytes, *, little: bool) -> FileFormat:
    marked = head.startswith(_UTF_32_MARKS + _UTF_16_MARKS)
    source = name if marked else f"{name}{'LE' if little else 'BE'}"
    return FileFormat(
        f"{name} text", f"Convert it to UTF-8, for example with `iconv -f {source} -t UTF-8 FILE > profiles.ndjson`"
    )


def _from_text(head: bytes) -> FileFormat | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"["):
        return _ARRAY
    if text.startswith(b"<"):
        return _MARKUP
    if text.startswith(b"{"):
        return None
    # A text has no control characters but those of spaces; one odd byte in a text is not binary data.
    controls = sum(byte < 0x20 and byte not in b"\t\n\v\f\r\x1b" for byte in head[:512])
    return _BINARY if controls > max(1, len(head[:512]) // 20) else None
