"""Snowflake as a warehouse, through its official connector.

A statement is submitted with `execute_async`. Every session of the same user may ask for its state and its result, for
24 hours. The session is not closed at the server, because that could end its statements.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote

from snowflake import connector
from snowflake.connector.constants import QueryStatus

from worker.errors import ApiError
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Estimate, Row
from worker.segment.warehouse.products.information_schema import InformationSchemaEngine
from worker.segment.warehouse.products.remote_engine import StatementState, silence, whole_seconds
from worker.warehouse_url import WarehouseUrl

silence("snowflake.connector")

LOGIN_TIMEOUT_S = 60
ROWS_PER_CHUNK = 2000

_PASSED_ON = ("warehouse", "role", "authenticator", "private_key_file", "private_key_file_pwd", "host", "protocol")
"""Options of the URL that the connector takes under the same name."""

GRANTS = "Grant it with the statements of docs/warehouses.md."


class Snowflake(InformationSchemaEngine):
    """See `WarehouseEngine`.

    Args:
        url: `snowflake://user:password@account/database/schema?warehouse=…&role=…&private_key_file=…`.
        options: Time that statements may take.
    """

    dialect = "snowflake"
    title = "Snowflake"
    database_word = "database"
    type_column = "data_type"
    is_own_grantee = "IS_ROLE_IN_SESSION(grantee)"
    writes = ("INSERT", "UPDATE", "DELETE", "TRUNCATE", "OWNERSHIP")

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        super().__init__(url, options)
        self._session: Any = None

    def _connected(self) -> Any:
        """Returns the session; raises errors of `worker.errors`."""
        if self._session is None:
            url = self._url.parts
            secret = unquote(url.password or "") or None
            as_token = self._url.options.get("authenticator", "").upper() in ("PROGRAMMATIC_ACCESS_TOKEN", "OAUTH")
            given = {name: value for name, value in self._url.options.items() if name in _PASSED_ON}
            if "private_key_file" in given:
                given.setdefault("authenticator", "SNOWFLAKE_JWT")
            with self._errors():
                self._session = connector.connect(
                    account=(url.hostname or "").removesuffix(".snowflakecomputing.com"),
                    user=unquote(url.username or ""),
                    database=self._database,
                    schema=self._schema,
                    secondary_roles="NONE",
                    login_timeout=LOGIN_TIMEOUT_S,
                    server_session_keep_alive=True,
                    enable_server_session_keep_alive_auto_detection=True,
                    client_store_temporary_credential=False,
                    session_parameters={
                        "CLIENT_TELEMETRY_ENABLED": False,
                        "STATEMENT_TIMEOUT_IN_SECONDS": whole_seconds(self._options.timeout_s),
                        "TIMEZONE": "UTC",
                    },
                    **{"token" if as_token else "password": secret},
                    **({"port": url.port} if url.port else {}),
                    **given,
                )
        return self._session

    def _start(self, sql: str, label: str) -> str:
        with self._errors(), self._connected().cursor() as cursor:
            tag = {"_statement_params": {"QUERY_TAG": label}} if label else {}
            cursor.execute_async(sql, **tag)
            return str(cursor.sfqid)

    def _state(self, query_id: str) -> StatementState:
        with self._errors():
            session = self._connected()
            status = session.get_query_status(query_id)
            if status is QueryStatus.NO_DATA:
                return StatementState("unknown")
            if status is QueryStatus.SUCCESS:
                return StatementState("succeeded")
            if not session.is_an_error(status):
                return StatementState("running")
            try:
                session.get_query_status_throw_if_error(query_id)
            except connector.errors.Error as error:
                return StatementState("failed", self._converted(error))
            return StatementState("failed", errors.failed(self._url, status.name))

    def _rows(self, query_id: str) -> Iterable[Row]:
        with self._errors(), self._connected().cursor() as cursor:
            cursor.get_results_from_sfqid(query_id)
            while rows := cursor.fetchmany(ROWS_PER_CHUNK):
                yield from map(tuple, rows)

    def _stop(self, query_id: str) -> None:
        with self._errors(), self._connected().cursor() as cursor:
            cursor.abort_query(query_id)

    async def running(self, label: str) -> list[str]:
        """Returns the running statements of this user with this label as `QUERY_TAG`."""
        rows = await self.query(
            f"SELECT query_id FROM TABLE({self._history()}) WHERE query_tag = {self.literal(label)} "
            "AND execution_status IN ('RUNNING', 'QUEUED', 'BLOCKED', 'RESUMING_WAREHOUSE')"
        )
        return [str(query_id) for (query_id,) in rows]

    async def read_bytes(self, query_id: str) -> int | None:
        """Returns the bytes of the statement in the query history; see `WarehouseEngine`."""
        rows = await self.query(
            f"SELECT bytes_scanned FROM TABLE({self._history()}) WHERE query_id = {self.literal(query_id)}"
        )
        return int(rows[0][0]) if rows and rows[0][0] is not None else None

    def _history(self) -> str:
        database = self.identifier(self._database)
        return f"{database}.information_schema.query_history_by_user(RESULT_LIMIT => 1000)"

    async def estimate(self, sql: str) -> Estimate:
        """Returns what the plan of a statement says; see `WarehouseEngine`."""
        ((plan,),) = await self.query(f"EXPLAIN USING JSON {sql}")
        found = json.loads(str(plan)).get("GlobalStats", {}).get("bytesAssigned")
        return Estimate(bytes=None if found is None else int(found))

    async def close(self) -> None:
        """Closes the connection; statements run on."""
        if self._session is not None:
            session, self._session = self._session, None
            with contextlib.suppress(connector.errors.Error):
                await asyncio.to_thread(session.close)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except connector.errors.Error as error:
            raise self._converted(error) from None

    def _converted(self, error: Any) -> ApiError:
        """Returns our error for one of the connector, by its number. Its text may quote a value."""
        number, url = error.errno or 0, self._url
        reason = f"error {number:06d}"
        match number:
            case 2003 | 2043 | 3001 | 3003:
                return errors.forbidden(url, "a table does not exist, or the role may not read it", GRANTS)
            case 904:
                return errors.column_missing(url, "a column of the statement does not exist")
            case 630 | 631:
                return errors.timed_out(url, self._options.timeout_s)
            case 604:
                return errors.failed(url, "it was cancelled at the warehouse")
            case 606:
                what = "no virtual warehouse is named with ?warehouse=, or the role may not use it"
                return errors.forbidden(url, what, GRANTS)
            case 390112 | 390114 | 4:  # an expired session, no answer
                return errors.connection_lost(url)
            case 250001 | 250003:
                lasting = "lookup address" in str(error)
                return errors.unreachable(url, "the host is not known" if lasting else reason, lasting=lasting)
            case _ if 390000 <= number < 400000:
                return errors.unauthorized(url, reason)
            case _ if isinstance(error, connector.errors.ProgrammingError) and self._session is None:
                return errors.unreachable(url, f"an option of the URL is not usable, {reason}", lasting=True)
        return errors.failed(url, reason)
