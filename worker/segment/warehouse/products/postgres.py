"""PostgreSQL and Redshift as warehouses, through psycopg.

A statement belongs to its connection, whose `application_name` names the sync. A successor therefore finds the backend
of an earlier job in `pg_stat_activity`, ends it, and submits the statement again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlencode

import psycopg
from psycopg import sql

from worker.concurrency import cancel_and_wait
from worker.errors import ApiError
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Estimate, FoundTable, Row, TableName
from worker.segment.warehouse.products.postgres_errors import connect_error, statement_error
from worker.warehouse_url import WarehouseUrl

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Row]

CONNECT_TIMEOUT_S = 15
END_EARLIER_S = 30.0
"""Seconds that the backends of an earlier job may take to end after `pg_terminate_backend`."""

_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""A connection whose server is gone without a word is noticed after a minute."""

_OWN_OPTIONS = ("schema",)
"""Options of the URL that are not for the driver."""

_MAX_TIMEOUT_MS = 2**31 - 1

logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # its lines may quote the server, and every failure is raised


class Postgres:
    """See `WarehouseEngine`.

    Args:
        url: Names the server, the database and the user; its options are those of libpq, and `schema`.
        options: Time that statements may take.
    """

    dialect = "postgres"
    keeps_results = False

    _rights = (
        "SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
        "has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE') "
        "OR has_any_column_privilege(c.oid, 'INSERT, UPDATE'), "
        "has_schema_privilege(n.oid, 'CREATE'), has_database_privilege(current_database(), 'CREATE') "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = {schema} AND c.relname = {table}"
    )
    """User, and whether it is a superuser, may change a table, create in its schema, and create schemas."""

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        self.title = url.title
        self._url = url
        self._options = options
        self._control: Connection | None = None
        self._running: dict[str, tuple[Connection, asyncio.Task[list[Row]]]] = {}

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table, view, materialised view or foreign table; see `WarehouseEngine`."""
        schema = name.schema or self._url.schema
        found = await self._select(
            "SELECT c.oid::bigint, n.nspname, c.relname, current_database() FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND lower(c.relname) = lower({table}) "
            "AND CASE WHEN {schema}::text IS NULL THEN n.nspname = ANY (current_schemas(false)) "
            "ELSE lower(n.nspname) = lower({schema}::text) END "
            "ORDER BY c.relname = {table} DESC, n.nspname = {schema}::text DESC NULLS LAST, "
            "array_position(current_schemas(false), n.nspname)",
            table=name.table,
            schema=schema,
        )
        if not found or (name.database or found[0][3]).lower() != found[0][3].lower():
            return None
        oid, schema, table, _ = found[0]
        columns = await self._select(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            oid=oid,
        )
        return FoundTable(TableName((schema, table)), {str(column): str(kind) for column, kind in columns})

    async def refuse_writer(self, table: FoundTable) -> None:
        """Refuses a superuser, and a role that may change the table or create others; see `WarehouseEngine`."""
        schema, name = table.name.parts
        ((user, *rights),) = await self._select(self._rights, schema=schema, table=name)
        names = (
            "is a superuser",
            f"may change {table.name}",
            f"may create in the schema {schema}",
            "may create schemas",
        )
        found = [what for what, has in zip(names, rights, strict=True) if has]
        if found:
            raise errors.can_write(
                self._url, f"the user {user} {' and '.join(found)}, and a sync only reads", self._grants(table)
            )

    def _grants(self, table: FoundTable) -> str:
        schema, name = (sql.Identifier(part).as_string() for part in table.name.parts)
        return (
            "Use a user with these rights only: CREATE USER segment_personas PASSWORD '…'; "
            f"GRANT USAGE ON SCHEMA {schema} TO segment_personas; GRANT SELECT ON {schema}.{name} TO segment_personas. "
            f"If everyone may create tables in the schema: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC."
        )

    async def query(self, text: str) -> list[Row]:
        """Runs a short statement; see `WarehouseEngine`."""
        if self._control is None:
            self._control = await self._connect("segment-personas")
        return await self._run(self._control, text)

    async def _select(self, template: str, **values: object) -> list[Row]:
        literals = {name: sql.Literal(value) for name, value in values.items()}
        return await self.query(sql.SQL(template).format(**literals).as_string())

    async def end_earlier(self, label: str) -> None:
        """Terminates the backends of this label; see `WarehouseEngine`."""
        await self._terminate(label)

    async def _terminate(self, label: str, only: int | None = None) -> None:
        """Terminates the backends of a label, or one of them, and waits until they have ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_EARLIER_S):
                while found := [pid for pid in await self._backends(label) if only in {None, pid}]:
                    for pid in found:
                        await self._select("SELECT pg_terminate_backend({pid})", pid=pid)
                    await asyncio.sleep(0.1)

    async def _backends(self, label: str) -> list[int]:
        """Returns the process ids of the backends of a label."""
        rows = await self._select(
            "SELECT pid FROM pg_stat_activity "
            "WHERE application_name = {label} AND usename = current_user AND pid <> pg_backend_pid()",
            label=label,
        )
        return [pid for (pid,) in rows]

    async def submit(self, text: str, label: str) -> str:
        """Starts a statement in a new connection; see `WarehouseEngine`."""
        connection = await self._connect(label)
        query_id = f"{connection.info.backend_pid} {label}"
        self._running[query_id] = (connection, asyncio.create_task(self._run(connection, text)))
        return query_id

    async def _run(self, connection: Connection, text: str) -> list[Row]:
        with self._errors():
            cursor = await connection.execute(text.encode())
            return await cursor.fetchall()

    async def attach(self, query_id: str) -> bool:
        """Returns whether the statement is of this process."""
        return query_id in self._running

    async def result(self, query_id: str, read: Callable[[Iterable[Row]], T]) -> T:
        """Waits for a statement and reads its result; see `WarehouseEngine`."""
        try:
            rows = await self._running[query_id][1]
            return await asyncio.to_thread(read, rows)
        finally:
            await self.cancel(query_id)

    async def scanned_bytes(self, query_id: str) -> int | None:
        """Returns None: the server does not tell."""
        return None

    async def cancel(self, query_id: str) -> None:
        """Cancels a statement of this process, or terminates the backend of another one; see `WarehouseEngine`."""
        if (running := self._running.pop(query_id, None)) is None:
            pid, _, label = query_id.partition(" ")
            with contextlib.suppress(ApiError, ValueError):  # the id may be of another product
                await self._terminate(label, int(pid))  # not the backend of a job that has replaced this one
            return
        connection, task = running
        await cancel_and_wait([task])  # psycopg asks the server to cancel the statement, and waits at most 10 seconds
        await connection.close()

    async def estimate(self, text: str) -> Estimate:
        """Returns the rows that the planner expects to scan."""
        ((plan,),) = await self.query(f"EXPLAIN (FORMAT JSON) {text}")
        nodes = plan if isinstance(plan, list) else json.loads(plan)
        return Estimate(rows=sum(_scanned_rows(node["Plan"]) for node in nodes))

    async def close(self) -> None:
        """Ends what runs, and closes the connections."""
        for query_id in [*self._running]:
            await self.cancel(query_id)
        if self._control is not None:
            await self._control.close()
            self._control = None

    async def _connect(self, application_name: str) -> Connection:
        """Opens a read-only connection. Each of its statements is a transaction that sees one snapshot."""
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._conninfo(),
                application_name=application_name,
                connect_timeout=CONNECT_TIMEOUT_S,
                autocommit=True,
                prepare_threshold=None,
                client_encoding="UTF8",  # Redshift names its encoding as Python does not
                **_KEEPALIVES,  # type: ignore[arg-type]
            )
        except (psycopg.Error, OSError) as error:
            raise connect_error(self._url, error) from None
        try:
            with self._errors():
                for setting, value, needed in self._session():
                    with contextlib.nullcontext() if needed else contextlib.suppress(psycopg.ProgrammingError):
                        await connection.execute(f"SET {setting} = {value}".encode())
        except BaseException:
            await connection.close()
            raise
        return connection

    def _conninfo(self) -> str:
        parts = self._url.parts
        query = urlencode({name: value for name, value in self._url.options.items() if name not in _OWN_OPTIONS})
        return parts._replace(scheme="postgresql", query=query).geturl()

    @property
    def _timeout_ms(self) -> int:
        return max(1, min(int(self._options.timeout_s * 1000), _MAX_TIMEOUT_MS))

    def _session(self) -> tuple[tuple[str, str, bool], ...]:
        """Settings of a connection, and whether a server that does not know one is refused."""
        return (
            ("default_transaction_read_only", "on", True),
            ("statement_timeout", f"{self._timeout_ms}", True),
            ("timezone", "'UTC'", True),
            # Compiling a statement with many expressions takes longer than running it (measured).
            ("jit", "off", False),
            # From PostgreSQL 14 on, the statement ends if the machine of its worker does.
            ("client_connection_check_interval", "'10s'", False),
        )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise statement_error(self._url, error, self._options.timeout_s) from None


def _scanned_rows(node: dict[str, Any]) -> int:
    own = int(node["Plan Rows"]) if "Relation Name" in node else 0
    return own + sum(_scanned_rows(part) for part in node.get("Plans", ()))
