"""Lists the shards that a request names: one file, a pattern, or a directory.

The list is sorted, so every worker finds the same shards in the same order. It contains no empty file, because writers
of shards leave such files behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from worker.errors import Permanent, ResumableStop
from worker.segment.file_shards.listing.file_access import FileAccess, missing_file_error
from worker.segment.file_shards.listing.object_storage import is_url
from worker.segment.file_shards.listing.shard import FileKind, Shard, kind_of_name


def list_shards(access: FileAccess, file: str) -> list[Shard]:
    """Returns the shards that `file` means, in their order.

    Raises:
        ResumableStop: As `FileAccess`; `file_empty` if no file has content.
        Permanent: `too_many_shards`; `file_format` if their names end as different formats do.
    """
    names = access.names(file)
    if not names:
        raise missing_file_error(file, is_directory=not is_url(file) and os.path.isdir(access.path(file)))
    shards = [shard for shard in map(access.identify, names) if shard.size]
    if not shards:
        what = "it is empty" if names == [file] else f"its {len(names):,} files are empty"
        raise ResumableStop("file_empty", f"File {file}: {what}", hint="Write the file again.")
    _check_alike(file, shards)
    return shards


def changed_error(name: str) -> Permanent:
    """Returns the error for a shard that is not what it was when the shards were listed."""
    return Permanent(
        "file_changed",
        f"File {name}: it was replaced or removed since the sync began to read",
        hint="Read the files again from the start.",
    )


def _check_alike(file: str, shards: Iterable[Shard]) -> None:
    """Raises Permanent `file_format` if the names of shards end as those of different formats do."""
    examples: dict[FileKind, str] = {}
    for shard in shards:
        if (kind := kind_of_name(shard.name)) is not None:
            examples.setdefault(kind, shard.name)
    if len(examples) > 1:
        (one, a), (other, b) = list(examples.items())[:2]
        raise Permanent(
            "file_format",
            f"File {file}: its files have different formats, such as {a} ({one}) and {b} ({other})",
            hint="Name the files of one format, for example with a pattern such as 'export/*.parquet'.",
        )
