"""Reads shards in a DuckDB connection: looks at their beginning, counts their rows, and aggregates them.

A shard is identified before and after it is read, so that what is counted is what was listed. Everything here blocks;
`ShardEngine` runs it in threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import duckdb

from worker.clusters import Aggregate
from worker.errors import ApiError, Permanent, ResumableStop
from worker.segment.file_shards.duckdb_connection import open_connections
from worker.segment.file_shards.file_head import FileHead, read_head
from worker.segment.file_shards.interruptor import Interrupted, Interruptor
from worker.segment.file_shards.last_line import check_last_line
from worker.segment.file_shards.listing.file_access import FileAccess
from worker.segment.file_shards.listing.shard import Shard
from worker.segment.file_shards.listing.shard_listing import changed_error
from worker.segment.file_shards.read_errors import duckdb_errors
from worker.segment.file_shards.read_options import EngineLimits, ReadOptions
from worker.segment.file_shards.rows.aggregation import aggregate_fields, aggregate_view, has_identifiers
from worker.segment.file_shards.rows.row_entries import read_entries
from worker.segment.file_shards.rows.shard_view import (
    FileRows,
    ShardShape,
    count_rows,
    describe_rows,
    make_fields_view,
    make_view,
)


class ShardReader:
    """Reads shards.

    Args:
        access: Opens the files.
        limits: What DuckDB may use.
    """

    def __init__(self, access: FileAccess, limits: EngineLimits) -> None:
        self._access = access
        self._limits = limits

    @contextlib.contextmanager
    def connections(self, shards: Sequence[Shard], count: int = 1) -> Iterator[list[duckdb.DuckDBPyConnection]]:
        """Opens connections that can read these shards."""
        names = [shard.name for shard in shards]
        paths, filesystems = [self._access.path(name) for name in names], self._access.filesystems(names)
        with open_connections(self._limits, paths, count=count, filesystems=filesystems) as connections:
            yield connections

    def inspect(self, shard: Shard, keys: tuple[str, ...], stop: Interruptor) -> tuple[ShardShape, bool]:
        """Returns what the rows of a shard are, and whether it has a profile. Raises ApiError and Interrupted."""
        with self.connections([shard]) as (connection,), self._reading(shard, connection, stop):
            shape = make_view(connection, self._rows(shard, keys, connection))
            return shape, count_rows(connection, shape, 1) > 0

    def count(self, shard: Shard, keys: tuple[str, ...], limit: int, stop: Interruptor) -> int:
        """Counts the rows of a shard that are profiles of their own, up to `limit`. Raises ApiError and Interrupted."""
        with self.connections([shard]) as (connection,), self._reading(shard, connection, stop):
            return count_rows(connection, make_view(connection, self._rows(shard, keys, connection)), limit)

    def entries(self, shard: Shard, limit: int, stop: Interruptor) -> list[object]:
        """Returns the first profiles of a shard, with all their traits. Raises ApiError and Interrupted."""
        with self.connections([shard]) as (connection,), self._reading(shard, connection, stop):
            shape = make_view(connection, self._rows(shard, (), connection), limit=limit)
            return list(read_entries(connection, shape))

    def aggregate(
        self,
        shard: Shard,
        options: ReadOptions,
        connection: duckdb.DuckDBPyConnection,
        stop: Interruptor,
        *,
        take: int | None = None,
    ) -> Aggregate:
        """Aggregates one shard by one query.

        Args:
            shard: What to read.
            options: What is read of it.
            connection: One of `connections`.
            stop: Interrupts it.
            take: Number of rows to read; None: all.

        Raises:
            Permanent: `file_changed`, `file_corrupt`, `file_format`, `column_missing`, `no_ids`.
            ResumableStop: `file_unreadable`, `file_forbidden`, `out_of_memory`.
            Interrupted: `stop` was called.
        """
        with self._reading(shard, connection, stop):
            rows = self._checked_rows(shard, options, connection)
            stop.check()
            found = _aggregate_fields(connection, rows, options) if take is None and rows.are_entries else None
            stop.check()
            if found is None:
                found = _aggregate_view(connection, rows, options, take)
        if take is None:
            self._check_end(shard, rows.head, found)
        return found

    def aggregate_together(
        self, shards: Sequence[Shard], options: ReadOptions, connection: duckdb.DuckDBPyConnection, stop: Interruptor
    ) -> Aggregate | None:
        """Aggregates several shards: those that are alike by one query, which is faster than one for each.

        Args:
            shards: What to read; all rows of them.
            options: What is read of it.
            connection: One of `connections`.
            stop: Interrupts it.

        Returns:
            The statistics. None if the shards must be read one by one: if no two are alike, or if one of them has
            changed or cannot be read, because the error must name it.

        Raises:
            Interrupted: `stop` was called.
        """
        try:
            with stop.watching(connection):
                groups = self._group_by_layout(shards, options, connection, stop)
                if len(groups) == len(shards):
                    return None
                total = Aggregate()
                for (head, shape), group in groups.items():
                    paths = [self._access.path(shard.name) for shard in group]
                    rows = describe_rows(connection, group[0].name, paths, head, options.rules.keys)
                    if rows.shape != shape:
                        return None
                    stop.check()
                    read = _aggregate_fields if rows.are_entries else _aggregate_view
                    if (found := read(connection, rows, options)) is None:
                        return None
                    for shard in group:
                        self._check_end(shard, head, found)
                    total.merge(found)
                for shard in shards:
                    self._check_unchanged(shard)
                return total
        except duckdb.InterruptException:
            raise Interrupted from None
        except (ApiError, duckdb.Error, RuntimeError):  # RuntimeError: a file system of Python has failed
            self._access.take_failure()
            return None

    def _group_by_layout(
        self, shards: Sequence[Shard], options: ReadOptions, connection: duckdb.DuckDBPyConnection, stop: Interruptor
    ) -> dict[tuple[FileHead, ShardShape], list[Shard]]:
        """Groups shards by their format and their columns."""
        groups: dict[tuple[FileHead, ShardShape], list[Shard]] = {}
        for shard in shards:
            stop.check()
            self._check_unchanged(shard)
            rows = self._checked_rows(shard, options, connection)
            groups.setdefault((rows.head, rows.shape), []).append(shard)
        return groups

    def _rows(self, shard: Shard, keys: tuple[str, ...], connection: duckdb.DuckDBPyConnection) -> FileRows:
        path = self._access.path(shard.name)
        head = read_head(shard.name, lambda: self._access.open(shard.name), path, connection)
        return describe_rows(connection, shard.name, [path], head, keys)

    def _checked_rows(self, shard: Shard, options: ReadOptions, connection: duckdb.DuckDBPyConnection) -> FileRows:
        """Returns the rows of a shard. Raises Permanent if they do not have what is read of them."""
        keys = options.rules.keys
        rows = self._rows(shard, keys, connection)
        self._check_expected(shard, rows.shape, options.expected, keys)
        if options.sample is not None and not has_identifiers(connection, make_view(connection, rows)):
            raise Permanent(
                "no_ids",
                f"File {shard.name}: no profile has an identifier, so no sample can be picked",
                hint="Read all profiles, or export the identifiers too.",
            )
        return rows

    def _check_end(self, shard: Shard, head: FileHead, found: Aggregate) -> None:
        """Raises Permanent `file_corrupt` if a line is not a profile because the file ends in it."""
        if head.kind == "ndjson" and found.profile_errors:
            check_last_line(shard.name, lambda: self._access.open(shard.name), head.compression)

    @contextlib.contextmanager
    def _reading(self, shard: Shard, connection: duckdb.DuckDBPyConnection, stop: Interruptor) -> Iterator[None]:
        """Checks that a shard is the same before and after the block, and converts errors of DuckDB."""
        self._check_unchanged(shard)
        try:
            with stop.watching(connection), duckdb_errors(shard.name, self._access.take_failure):
                yield
        except Permanent:
            self._check_unchanged(shard)  # the shard may only be damaged because it is being written
            raise
        self._check_unchanged(shard)

    def _check_unchanged(self, shard: Shard) -> None:
        try:
            present = self._access.identify(shard.name)
        except ResumableStop as error:
            if error.code != "file_missing":
                raise
            present = None
        if present != shard:
            raise changed_error(shard.name)

    def _check_expected(
        self, shard: Shard, shape: ShardShape, expected: tuple[str, ...], keys: tuple[str, ...]
    ) -> None:
        """Raises Permanent `column_missing` if a trait has no column here that has one in the first shard."""
        if shape.is_json and shape.layout == "wide":
            return  # a row of JSON may leave out what is NULL
        missing = [key for key in expected if key not in shape.trait_columns(keys)]
        if missing:
            raise Permanent(
                "column_missing",
                f"File {shard.name}: it has no column for {', '.join(missing)}, as the first file has",
                hint="Write all files with the same columns, or read the files of one export only.",
            )


def _aggregate_fields(connection: duckdb.DuckDBPyConnection, rows: FileRows, options: ReadOptions) -> Aggregate | None:
    """Aggregates whole files by the fields of their lines; None if a line does not fit."""
    if not make_fields_view(connection, rows, options.rules.keys):
        return None
    return aggregate_fields(connection, options.rules, options.as_of, options.sample)


def _aggregate_view(
    connection: duckdb.DuckDBPyConnection, rows: FileRows, options: ReadOptions, take: int | None = None
) -> Aggregate:
    shape = make_view(connection, rows, limit=take)
    return aggregate_view(connection, shape, options.rules, options.as_of, options.sample)
