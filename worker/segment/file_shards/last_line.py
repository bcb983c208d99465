"""Checks whether a file of lines ends in the middle of a line, which means that the rest of it is missing."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from typing import BinaryIO, cast

from worker.segment.export_file.file_opener import unreadable_file_error
from worker.segment.export_file.line_formats import is_json
from worker.segment.export_file.line_reader import LONGEST_LINE
from worker.segment.file_shards.file_head import Compression
from worker.segment.file_shards.read_errors import corrupt_error

_CHUNK = 1 << 20


def check_last_line(name: str, opener: Callable[[], BinaryIO], compression: Compression) -> None:
    """Raises Permanent `file_corrupt` if the last line has no end and is not JSON.

    A file that is compressed by gzip is decompressed again for it; one that is compressed by zstd is not checked.
    """
    if compression == "zstd":
        return
    try:
        with opener() as file:
            tail = _tail(file) if compression == "none" else _last_part(cast(BinaryIO, gzip.GzipFile(fileobj=file)))
    except OSError as error:
        raise unreadable_file_error(name, error) from None
    last = tail.rpartition(b"\n")[2]
    if last.strip() and not is_json([last]):
        raise corrupt_error(name, "it ends in the middle of a line, so the rest of it is missing")


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_LINE))
    return file.read()


def _last_part(file: BinaryIO) -> bytes:
    before, part = b"", b""
    while chunk := file.read(_CHUNK):
        before, part = (before + part)[-LONGEST_LINE:], chunk
    return before + part
