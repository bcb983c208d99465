"""Reads the profiles of a pipe or file page by page, compressed or not, and detects whether the file has changed.

Files are read by DuckDB instead, unless an earlier version began the sync; see the package.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from typing import Any, Self

from worker.errors import Permanent
from worker.segment.export_file.file_formats import EXPECTED_FORMAT, HEAD_BYTES, FileFormat, recognise_bytes
from worker.segment.export_file.file_opener import STANDARD_INPUT, Opener, unreadable_file_error
from worker.segment.export_file.line_formats import Judgement, is_json, judge_lines
from worker.segment.export_file.line_reader import READ_BYTES, LineReader
from worker.segment.export_file.profile_lines import ProfileRows, read_rows

_GZIP_MAGIC = b"\x1f\x8b"
_PIPE = "pipe"
_NEW_SYNC = "Start a new sync."
_WRITE_AGAIN = "Write the whole file again."
_MAGIC_BYTES = 12
"""Bytes of a pipe that are needed to recognise its format, unless its first line ends earlier."""


@dataclass(frozen=True)
class FilePosition:
    """The start of a line.

    Attributes:
        offset: Its position in uncompressed bytes.
        version: Identifies the content of the file.
    """

    offset: int
    version: str

    def encode(self) -> str:
        """Encodes this place as a cursor."""
        return f"{self.offset}:{self.version}"

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """Decodes what `encode` wrote."""
        offset, _, version = cursor.partition(":")
        return cls(int(offset), version)


@dataclass(frozen=True)
class FilePage:
    """Entries as they are in the file, and where the next ones begin; None at its end.

    Attributes:
        merged: As for `ProfileRows`.
    """

    entries: list[object]
    following: FilePosition | None
    merged: int = 0


class NdjsonFile:
    """A file from `place` on (None: from its start). Every method blocks, and raises ApiError.

    Args:
        file: As the request names it.
        opener: Opens it.
    """

    def __init__(self, file: str, opener: Opener, place: FilePosition | None) -> None:
        self._file = file
        self._raw = opener(file)
        try:
            with _failures_named(file):
                self._version = self._present_version()
                if place and place.version != self._version:
                    raise self._changed()
                if place and self.is_pipe:
                    raise Permanent("file_gone", f"File {file}: a pipe can be read only once", hint=_NEW_SYNC)
                self._lines = LineReader(self._uncompressed(), looks_ahead=not self.is_pipe)
                self._judged = place is not None
        except BaseException:
            self.close()
            raise

    @property
    def is_pipe(self) -> bool:
        """Whether the file can be read only once."""
        return self._version == _PIPE

    def page(self, place: FilePosition | None) -> FilePage:
        """Reads the page at `place`; None is the next page."""
        with _failures_named(self._file):
            if place:
                self._lines.go_to(place.offset)
            try:
                found = self._next_rows()
            except Permanent:
                self._check_unchanged()  # the file may only be incomplete because it is being written
                raise
            self._check_unchanged()
        following = None if self._lines.ended else FilePosition(self._lines.offset, self._version)
        return FilePage(found.entries, following, found.merged)

    def close(self) -> None:
        """Closes the file."""
        self._raw.close()

    def _uncompressed(self) -> BufferedReader:
        """Returns the lines as bytes. Raises Permanent `file_format` if the first bytes show that they are none."""
        stream, head = self._with_head(BufferedReader(self._raw, READ_BYTES))
        if head.startswith(_GZIP_MAGIC):
            stream, head = self._with_head(BufferedReader(gzip.GzipFile(fileobj=stream), READ_BYTES))
            self._refuse(recognise_bytes(head))
            return stream
        self._refuse(recognise_bytes(head))
        if self._file.endswith(".gz"):
            raise gzip.BadGzipFile
        return stream

    def _with_head(self, stream: BufferedReader) -> tuple[BufferedReader, bytes]:
        """Returns a stream, not yet read from, and the bytes that it begins with. A pipe gives few at a time: they are
        put before the rest, and no more are waited for than are needed.
        """
        if not self.is_pipe:
            return stream, stream.peek(HEAD_BYTES)[:HEAD_BYTES]
        head = b""
        while len(head) < _MAGIC_BYTES and b"\n" not in head and (chunk := stream.read1(READ_BYTES)):
            head += chunk
        return BufferedReader(_Rejoined(head, stream), READ_BYTES), head

    def _next_rows(self) -> ProfileRows:
        """Some entries; none at the end of the file only, whatever is left out."""
        found = ProfileRows([])
        while not found.entries and not self._lines.ended:
            lines = self._lines.read()
            if not self._judged:
                lines = self._judge(lines)
            rows = read_rows(lines)
            self._check_end(lines)
            found = ProfileRows(rows.entries, found.merged + rows.merged)
        return found

    def _judge(self, lines: list[bytes | None]) -> list[bytes | None]:
        """Returns the first lines, so many that they show the format of the file. Raises Permanent `file_format`."""
        while not (judgement := self._judgement(lines)).certain:
            lines = lines + self._lines.read()
        self._judged = True
        self._refuse(judgement.format)
        return lines

    def _judgement(self, lines: list[bytes | None]) -> Judgement:
        return judge_lines(lines, ended=self._lines.ended, unfinished=self._lines.unfinished)

    def _check_end(self, lines: list[bytes | None]) -> None:
        """Raises Permanent `file_corrupt` if the last of these lines has no end and is not JSON: it is cut off."""
        if not (self._lines.unfinished and lines):
            return
        last = lines[-1]
        if last is None or not (last.isspace() or is_json([last])):
            raise Permanent(
                "file_corrupt",
                f"File {self._file}: it ends in the middle of a line, so the rest of it is missing",
                hint=_WRITE_AGAIN,
            )

    def _refuse(self, found: FileFormat | None) -> None:
        if found is not None:
            raise Permanent(
                "file_format",
                f"File {self._file}: it is {found.name}. It must hold {EXPECTED_FORMAT}",
                hint=f"{found.fix}, then start a sync of that file.",
            )

    def _present_version(self) -> str:
        found = os.fstat(self._raw.fileno())
        is_pipe = self._file == STANDARD_INPUT or not stat.S_ISREG(found.st_mode)
        return _PIPE if is_pipe else f"{found.st_size}:{found.st_mtime_ns}"

    def _check_unchanged(self) -> None:
        if self._present_version() != self._version:
            raise self._changed()

    def _changed(self) -> Permanent:
        return Permanent(
            "file_changed",
            f"File {self._file}: it has changed since its first page was read",
            hint="Read the file again from the start.",
        )


class _Rejoined(RawIOBase):
    """A stream that returns bytes that were already read, and then the rest of the original stream."""

    def __init__(self, head: bytes, rest: BufferedReader) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        if not self._head:
            return self._rest.readinto1(buffer)
        count = min(len(buffer), len(self._head))
        buffer[:count] = self._head[:count]
        self._head = self._head[count:]
        return count


@contextlib.contextmanager
def _failures_named(file: str) -> Iterator[None]:
    """Converts errors of reading into ApiError."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Permanent(
            "file_corrupt",
            f"File {file}: its gzip data is damaged or ends too early",
            hint=_WRITE_AGAIN,
        ) from None
    except OSError as error:
        raise unreadable_file_error(file, error) from None
