"""The shards of a request as a source: a listing whose entries are shards, which batches read.

Every fetch job lists the shards again. A digest in the cursor shows whether they are the same ones as before.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass

from worker.errors import Permanent, ResumableStop
from worker.models.shards import ShardTotals
from worker.segment.export_file.file_formats import FileFormat
from worker.segment.file_shards.file_head import format_error
from worker.segment.file_shards.listing.shard import Shard, digest_of
from worker.segment.file_shards.shard_engine import ShardEngine
from worker.segment.page import Page
from worker.segment.source import Call, FetchedProfiles


@dataclass(frozen=True)
class ListedShard:
    """A shard as an entry of a page.

    Attributes:
        shard: What to read.
        expected: Trait keys that must have a column in it.
        rows: Number of its rows that count; None: all of them, and how many is not known.
        next_cursor: Of the shard after it; None if it is the last.
    """

    shard: Shard
    expected: tuple[str, ...]
    rows: int | None
    next_cursor: str | None


@dataclass
class ShardSource:
    """Lists the shards of a request; see `Source`.

    Attributes:
        engine: Reads the shards.
        file: As the request names it.
        keys: Trait keys of the rules.
        limit: Number of profiles after which the listing ends; None: all.
        on_listed: Called with the totals of all shards.
    """

    concurrent_pages = 1

    engine: ShardEngine
    file: str
    keys: tuple[str, ...]
    _: KW_ONLY
    limit: int | None
    on_listed: Callable[[ShardTotals], Awaitable[None]]

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Lists the shards from `cursor` on, as one page.

        code                        when
        file_forbidden              a file is not under `FILES_DIR`
        file_missing                no file is there
        file_unreadable             no permission, a broken disk
        file_empty                  no profile is in any file
        file_changed                the files are not those that an earlier fetch job listed
        file_format                 a format that cannot be read, or files of several formats
        too_many_shards             more files than a sync may have
        """
        shards = await self.engine.list_shards(self.file)
        listed_at, digest = time.time(), digest_of(shards)
        index, known = decode_cursor(cursor)
        if known not in ("", digest):
            raise Permanent(
                "file_changed",
                f"File {self.file}: its files have changed since the sync began to read",
                hint="Read the files again from the start.",
            )
        shape, has_profile = await self.engine.inspect(shards[0], self.keys)
        if not (cursor or has_profile):
            await self._check_filled(shards[1:])
        if shape.layout == "tall" and len(shards) > 1:
            raise format_error(
                self.file,
                FileFormat(
                    "several files with a row for each trait, so the rows of a profile may be in different files",
                    "Write them as one file, or export a row or an object for each profile",
                ),
            )
        await self.on_listed(ShardTotals(len(shards), sum(shard.size for shard in shards), listed_at))
        is_table = shape.layout == "wide" and not shape.is_json
        expected = tuple(shape.trait_columns(self.keys)) if is_table else ()
        following = [encode_cursor(i, digest) for i in range(1, len(shards))]
        counts = await self._counts(shards[index:], before or 0)
        found: list[object] = [
            ListedShard(shard, expected, rows, next_cursor)
            for shard, rows, next_cursor in zip(shards[index:], counts, [*following, None][index:], strict=False)
        ]
        return Page(found, None)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Returns the entries of a page: they are shards, which batches read."""
        return FetchedProfiles(page.profiles)

    async def _check_filled(self, shards: Sequence[Shard]) -> None:
        """Raises ResumableStop `file_empty` if none of these shards has a profile."""
        for shard in shards:
            if await self.engine.count(shard, self.keys, 1):
                return
        raise ResumableStop(
            "file_empty",
            f"File {self.file}: it contains no profile, or only profiles that were merged into others",
            hint="Write the file again.",
        )

    async def _counts(self, shards: Sequence[Shard], before: int) -> list[int | None]:
        """Returns how many rows of each shard count: all, or as many as the limit leaves."""
        if self.limit is None:
            return [None] * len(shards)
        counts: list[int | None] = []
        for shard in shards:
            if before >= self.limit:
                break
            rows = await self.engine.count(shard, self.keys, self.limit - before + 1)
            counts.append(rows)
            before += rows
        return counts


def encode_cursor(index: int, digest: str) -> str:
    """Returns the cursor of the shard with this index in a list of shards."""
    return f"{index}:{digest}"


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Reads what `encode_cursor` wrote; an empty cursor is the start of any list."""
    index, _, digest = cursor.partition(":")
    return (int(index), digest) if cursor else (0, "")
