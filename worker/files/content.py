"""What stands in a file: its profiles page by page, compressed or not, and whether it is still the same file."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from typing import Self

from worker.errors import Permanent
from worker.files.lines import READ_BYTES, Lines
from worker.files.profiles import entries
from worker.files.reach import STANDARD_INPUT, Opener, unreadable

_GZIP_MAGIC = b"\x1f\x8b"
_PIPE = "pipe"


@dataclass(frozen=True)
class Place:
    """Where a line begins. offset: in uncompressed bytes; version: another one if the file is another."""

    offset: int
    version: str

    def encode(self) -> str:
        """This place as a cursor."""
        return f"{self.offset}:{self.version}"

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """Reads what `encode` wrote."""
        offset, _, version = cursor.partition(":")
        return cls(int(offset), version)


@dataclass(frozen=True)
class FilePage:
    """Entries as they stand in the file, and where the next ones begin; None at its end."""

    entries: list[object]
    following: Place | None


class Content:
    """A file from `place` on (None: from its start). Every method blocks, and raises ApiError.

    file: as the request names it; opener: opens it.
    """

    def __init__(self, file: str, opener: Opener, place: Place | None) -> None:
        self._file = file
        self._raw = opener(file)
        try:
            with _failures_named(file):
                self._version = self._present_version()
                if place and place.version != self._version:
                    raise self._changed()
                if place and self.is_pipe:
                    raise Permanent("file_gone", f"File {file}: a pipe can be read only once. Start a new sync")
                self._lines = Lines(self._uncompressed(), looks_ahead=not self.is_pipe)
        except BaseException:
            self.close()
            raise

    @property
    def is_pipe(self) -> bool:
        """Whether it can be read only once."""
        return self._version == _PIPE

    def page(self, place: Place | None) -> FilePage:
        """The page at `place`; None: the next one."""
        with _failures_named(self._file):
            if place:
                self._lines.go_to(place.offset)
            found = self._next_entries()
            if self._present_version() != self._version:
                raise self._changed()
        return FilePage(found, None if self._lines.ended else Place(self._lines.offset, self._version))

    def close(self) -> None:
        """Closes the file."""
        self._raw.close()

    def _uncompressed(self) -> BufferedReader:
        stream: BufferedReader = BufferedReader(self._raw, READ_BYTES)
        if stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC):
            return BufferedReader(gzip.GzipFile(fileobj=stream), READ_BYTES)
        if self._file.endswith(".gz"):
            raise gzip.BadGzipFile
        return stream

    def _next_entries(self) -> list[object]:
        """Some entries; none at the end of the file only, whatever is left out."""
        found: list[object] = []
        while not found and not self._lines.ended:
            found = entries(self._lines.read())
        return found

    def _present_version(self) -> str:
        found = os.fstat(self._raw.fileno())
        is_pipe = self._file == STANDARD_INPUT or not stat.S_ISREG(found.st_mode)
        return _PIPE if is_pipe else f"{found.st_size}:{found.st_mtime_ns}"

    def _changed(self) -> Permanent:
        return Permanent(
            "file_changed",
            f"File {self._file}: it has changed since its first page was read. Resume with --restart to read it from "
            "the start",
        )


@contextlib.contextmanager
def _failures_named(file: str) -> Iterator[None]:
    """What reading raises becomes one of our errors."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise Permanent(
            "file_corrupt",
            f"File {file}: it is not compressed by gzip as it should be, or ends too early. Write it anew, then "
            "resume with --restart",
        ) from None
    except OSError as error:
        raise unreadable(file, error) from None
