"""Converts what DuckDB raises into errors of this program. No message contains text of a file."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import duckdb

from worker.errors import ApiError, Permanent, ResumableStop
from worker.segment.file_shards.interruptor import Interrupted

_LINE = re.compile(r"\b[Ll]ine:? (\d+)")
_WRITE_AGAIN = "Write the whole file again."


@contextlib.contextmanager
def duckdb_errors(name: str, take_failure: Callable[[], ApiError | None]) -> Iterator[None]:
    """Converts errors while a shard is read.

    Args:
        name: Of the shard.
        take_failure: Returns the failure of object storage, if that is what DuckDB reports as its own.

    Raises:
        Interrupted: The statement was interrupted.
        Permanent: `file_corrupt`.
        ResumableStop: `file_unreadable`, `out_of_memory`.
    """
    try:
        with _failures_of_storage(take_failure):
            yield
    except duckdb.InterruptException:
        raise Interrupted from None
    except duckdb.OutOfMemoryException:
        raise ResumableStop(
            "out_of_memory",
            f"File {name}: reading it needs more memory or disk space than DuckDB may use",
            hint="Give the workers a higher DUCKDB_MEMORY, or disk space for temporary files.",
        ) from None
    except duckdb.PermissionException:
        raise ResumableStop("file_unreadable", f"File {name}: it may not be read") from None
    except (duckdb.IOException, duckdb.HTTPException) as error:
        if "GZIP" in str(error) or "zstd" in str(error).lower():
            raise corrupt_error(name, "its compressed data is damaged or ends too early") from None
        raise ResumableStop("file_unreadable", f"File {name}: it cannot be read") from None
    except (duckdb.InvalidInputException, duckdb.ConversionException, duckdb.SerializationException) as error:
        found = _LINE.search(str(error))
        where = f"line {found[1]} is not like the others" if found else "its content is damaged"
        raise corrupt_error(name, where) from None


@contextlib.contextmanager
def _failures_of_storage(take_failure: Callable[[], ApiError | None]) -> Iterator[None]:
    try:
        yield
    except duckdb.InterruptException:
        raise
    except (duckdb.Error, RuntimeError):
        if failure := take_failure():
            raise failure from None
        raise


def corrupt_error(name: str, reason: str) -> Permanent:
    """Returns the error for a shard whose content is damaged."""
    return Permanent("file_corrupt", f"File {name}: {reason}", hint=_WRITE_AGAIN)
