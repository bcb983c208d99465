"""A DuckDB file as a warehouse. The file is attached read-only; statements run in threads of this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import duckdb

from worker.concurrency import cancel_and_wait
from worker.segment.file_shards.interruptor import Interrupted, Interruptor
from worker.segment.file_shards.shard_engine import run_interruptibly
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Estimate, FoundTable, Row, TableName
from worker.warehouse_url import WarehouseUrl

T = TypeVar("T")

ROWS_PER_CHUNK = 2000
_NAME = "warehouse"
_TABLES = f"""
    SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = '{_NAME}'
    UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = '{_NAME}' AND NOT internal
"""


class DuckDbFile:
    """See `WarehouseEngine`. A statement ends with its process, so there is never one of another process.

    Args:
        url: Names the file.
        options: Time and memory that statements may take.
    """

    dialect = "duckdb"
    title = "DuckDB"
    keeps_results = False

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        self._url = url
        self._options = options
        self._schema = url.schema or "main"
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._running: dict[str, asyncio.Task[duckdb.DuckDBPyConnection]] = {}

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view; see `WarehouseEngine`."""
        wanted = [(name.schema or self._schema).lower(), name.table.lower()]
        if name.database not in (None, _NAME, Path(unquote(self._url.parts.path)).stem):
            return None
        tables = [one for one in await self.query(_TABLES) if [part.lower() for part in one] == wanted]
        if not tables:
            return None
        schema, table = max(tables, key=lambda one: tuple(one) == (name.schema, name.table))
        columns = await self.query(
            f"SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = '{_NAME}' "
            f"AND schema_name = {_literal(schema)} AND table_name = {_literal(table)} ORDER BY column_index"
        )
        return FoundTable(TableName((_NAME, schema, table)), {str(column): str(kind) for column, kind in columns})

    async def refuse_writer(self, table: FoundTable) -> None:
        """Does nothing, because the file is attached read-only."""

    async def query(self, sql: str) -> list[Row]:
        """Runs a short statement; see `WarehouseEngine`."""
        return await self.result(await self.submit(sql, ""), list)

    async def end_earlier(self, label: str) -> None:
        """Does nothing, because statements end with their process."""

    async def submit(self, sql: str, label: str) -> str:
        """Starts a statement in a thread; see `WarehouseEngine`."""
        query_id = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._running[query_id] = asyncio.create_task(self._run(sql))
        return query_id

    async def _run(self, sql: str) -> duckdb.DuckDBPyConnection:
        def execute(stop: Interruptor) -> duckdb.DuckDBPyConnection:
            with _errors(self._url):
                if self._connection is None:
                    self._connection = _connect(self._url, self._options)
                cursor = self._connection.cursor()
                with stop.watching(cursor):
                    return cursor.execute(sql)

        try:
            async with asyncio.timeout(self._options.timeout_s):
                return await run_interruptibly(execute)
        except TimeoutError:
            raise errors.timed_out(self._url, self._options.timeout_s) from None

    async def attach(self, query_id: str) -> bool:
        """Returns whether the statement is of this process."""
        return query_id in self._running

    async def result(self, query_id: str, read: Callable[[Iterable[Row]], T]) -> T:
        """Waits for a statement and reads its result in a thread; see `WarehouseEngine`."""
        try:
            cursor = await self._running[query_id]

            def read_rows() -> T:
                with _errors(self._url), contextlib.closing(cursor):
                    return read(_rows(cursor))

            return await asyncio.to_thread(read_rows)
        finally:
            await self.cancel(query_id)

    async def scanned_bytes(self, query_id: str) -> int | None:
        """Returns None: DuckDB does not tell."""
        return None

    async def cancel(self, query_id: str) -> None:
        """Interrupts a statement of this process."""
        if (task := self._running.pop(query_id, None)) is not None:
            await cancel_and_wait([task])

    async def estimate(self, sql: str) -> Estimate:
        """Returns an empty estimate: reading a file costs nothing."""
        return Estimate()

    async def close(self) -> None:
        """Interrupts what runs, and closes the file."""
        for query_id in [*self._running]:
            await self.cancel(query_id)
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(url: WarehouseUrl, options: EngineOptions) -> duckdb.DuckDBPyConnection:
    """Opens a database in memory that has the file attached, loads no extension, and can open no other file."""
    path = unquote(url.parts.path)
    if not os.path.isfile(path):
        raise errors.unreachable(url, "the file does not exist", lasting=True)
    connection = duckdb.connect(
        config={
            "memory_limit": f"{options.limits.memory_mb}MiB",
            "threads": options.limits.threads,
            "temp_directory": os.path.join(
                tempfile.gettempdir(), f"segment-personas-duckdb-{os.getpid()}-{secrets.token_hex(4)}"
            ),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
        }
    )
    try:
        connection.execute(f"ATTACH {_literal(path)} AS {_NAME} (READ_ONLY)")
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error:
        connection.close()
        raise
    return connection


def _rows(cursor: duckdb.DuckDBPyConnection) -> Iterator[Row]:
    while rows := cursor.fetchmany(ROWS_PER_CHUNK):
        yield from rows


@contextlib.contextmanager
def _errors(url: WarehouseUrl) -> Iterator[None]:
    """Converts errors of DuckDB."""
    try:
        yield
    except duckdb.InterruptException:
        raise Interrupted from None
    except duckdb.OutOfMemoryException:
        what, hint = "the statement needs more memory or disk space than DuckDB may use", "Raise DUCKDB_MEMORY."
        raise errors.out_of_memory(url, what, hint) from None
    except duckdb.BinderException:
        raise errors.column_missing(url, "a column of the statement does not exist") from None
    except duckdb.PermissionException:
        what, hint = "the table is a view of another file", "Store the profiles in a table of the file."
        raise errors.forbidden(url, what, hint) from None
    except duckdb.IOException as error:
        if "lock" in str(error).lower():
            raise errors.busy(url, "another process writes to the file") from None
        raise errors.unreachable(url, "the file is not a DuckDB database", lasting=True) from None
    except duckdb.Error as error:
        raise errors.failed(url, type(error).__name__) from None


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
