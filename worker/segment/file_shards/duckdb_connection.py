"""DuckDB connections that read given files and nothing else, in bounded memory.

Each database is in memory, and ends with its connections. They can open only the paths that are named here, load no
extension, and their settings are locked, so that nothing in a request or a file can reach further.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from worker.segment.file_shards.read_options import EngineLimits

if TYPE_CHECKING:
    import duckdb


@contextlib.contextmanager
def open_connections(
    limits: EngineLimits, paths: Sequence[str], *, count: int = 1, filesystems: Sequence[Any] = ()
) -> Iterator[list[duckdb.DuckDBPyConnection]]:
    """Opens connections to one database that read the files at `paths`, and closes them.

    Args:
        limits: Of the worker.
        paths: Absolute paths, after links are resolved, and URLs.
        count: Number of connections. They share memory and threads.
        filesystems: Of fsspec, which read the URLs.
    """
    import duckdb  # `as_pattern` is used before a file is read, and DuckDB takes long to load

    spill = os.path.join(tempfile.gettempdir(), f"segment-personas-duckdb-{os.getpid()}-{secrets.token_hex(4)}")
    connection = duckdb.connect(
        config={
            "memory_limit": f"{limits.memory_mb}MiB",
            "threads": limits.threads,
            "temp_directory": spill,  # made only if it is needed, and removed with the connection
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
        }
    )
    try:
        for filesystem in filesystems:
            connection.register_filesystem(filesystem)
        connections = [connection, *(connection.cursor() for _ in range(count - 1))]
        for each in connections:
            each.execute("SET enable_progress_bar = false")
            each.execute("SET TimeZone = 'UTC'")
        connection.execute("SET allowed_paths = $1", [sorted({*paths, *map(as_pattern, paths)})])
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        yield connections
    finally:
        connection.close()


def as_pattern(path: str) -> str:
    """Returns a path as DuckDB must be given it, which takes paths as patterns: with `[*]` for a `*` in it.

    The URL of an object stays unchanged, because the file system for objects knows no patterns.
    """
    return path if "://" in path else re.sub(r"[*?\[]", r"[\g<0>]", path)
