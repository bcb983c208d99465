"""Databricks as a warehouse, through its official SDK: the Statement Execution API of a SQL warehouse.

A statement has an id as soon as it is accepted, and its result can be read for at least an hour after its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import requests
from databricks.sdk.core import ApiClient, Config
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, TooManyRequests, Unauthenticated
from databricks.sdk.service.sql import (
    QueryFilter,
    QueryHistoryAPI,
    QueryStatus,
    StatementExecutionAPI,
    StatementResponse,
    StatementStatus,
)
from databricks.sdk.service.sql import StatementState as State

from worker.errors import ApiError
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Row
from worker.segment.warehouse.products.information_schema import InformationSchemaEngine
from worker.segment.warehouse.products.remote_engine import StatementState, silence
from worker.warehouse_url import WarehouseUrl

silence("databricks.sdk")

REQUEST_TIMEOUT_S, RETRY_FOR_S = 60, 120
GRANTS = "Grant it with the statements of docs/warehouses.md."

_READERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("BYTE", "SHORT", "INT", "LONG"), int),
    **dict.fromkeys(("FLOAT", "DOUBLE"), float),
    "DECIMAL": Decimal,
    "BOOLEAN": lambda text: text == "true",
}
"""Type of a column → parser of its values, which all come as text."""
_CLASS = re.compile(r"\[([A-Z_]+)")


class Databricks(InformationSchemaEngine):
    """See `WarehouseEngine`.

    Args:
        url: `databricks://token:TOKEN@host/catalog/schema?warehouse=ID`; with a service principal
            `databricks://CLIENT_ID:SECRET@host/…&auth=oauth`.
        options: Time that statements may take.
    """

    dialect = "databricks"
    title = "Databricks"
    database_word = "catalog"
    type_column = "full_data_type"
    is_own_grantee = "(grantee = CURRENT_USER() OR IS_ACCOUNT_GROUP_MEMBER(grantee))"
    writes = ("MODIFY", "ALL PRIVILEGES", "ALL_PRIVILEGES", "MANAGE")

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        super().__init__(url, options)
        self._api: ApiClient | None = None

    def _connected(self) -> ApiClient:
        if self._api is None:
            url, given = self._url.parts, self._url.options
            secret, protocol = unquote(url.password or ""), given.get("protocol", "https")
            login = (
                {"client_id": unquote(url.username or ""), "client_secret": secret, "auth_type": "oauth-m2m"}
                if given.get("auth") == "oauth"
                else {"token": secret, "auth_type": "pat"}
            )
            with self._errors():
                config = Config(
                    host=f"{protocol}://{url.hostname}" + (f":{url.port}" if url.port else ""),
                    http_timeout_seconds=REQUEST_TIMEOUT_S,
                    retry_timeout_seconds=RETRY_FOR_S,
                    **login,
                )
                self._api = ApiClient(config)
        return self._api

    @property
    def _warehouse(self) -> str:
        if not (found := self._url.options.get("warehouse")):
            raise errors.unreachable(self._url, "the URL names no SQL warehouse: ?warehouse=ID", lasting=True)
        return found

    def _start(self, sql: str, label: str) -> str:
        statement = sql if label in sql else f"/* {label} */\n{sql}"
        with self._errors():
            answer = StatementExecutionAPI(self._connected()).execute_statement(
                statement, self._warehouse, catalog=self._database, schema=self._schema, wait_timeout="0s"
            )
        return str(answer.statement_id)

    def _get(self, query_id: str) -> StatementResponse:
        return StatementExecutionAPI(self._connected()).get_statement(query_id)

    def _state(self, query_id: str) -> StatementState:
        with self._errors():
            try:
                status = self._get(query_id).status or StatementStatus()
            except NotFound:
                return StatementState("unknown")
        match status.state:
            case State.PENDING | State.RUNNING:
                return StatementState("running")
            case State.SUCCEEDED:
                return StatementState("succeeded")
            case State.CANCELED:
                return StatementState("failed", errors.failed(self._url, "it was cancelled at the warehouse"))
            case State.CLOSED:
                return StatementState("failed", errors.connection_lost(self._url))
        return StatementState("failed", self._statement_error(status))

    def _rows(self, query_id: str) -> Iterable[Row]:
        with self._errors():
            answer = self._get(query_id)
            columns = (answer.manifest and answer.manifest.schema and answer.manifest.schema.columns) or []
            readers = [_READERS.get(column.type_name.value if column.type_name else "", str) for column in columns]
            chunk = answer.result
            while chunk is not None:
                for row in chunk.data_array or ():
                    yield tuple(None if v is None else read(v) for v, read in zip(row, readers, strict=True))
                if chunk.next_chunk_index is None:
                    return
                api = StatementExecutionAPI(self._connected())
                chunk = api.get_statement_result_chunk_n(query_id, chunk.next_chunk_index)

    def _stop(self, query_id: str) -> None:
        with self._errors():
            StatementExecutionAPI(self._connected()).cancel_execution(query_id)

    async def running(self, label: str) -> list[str]:
        """Returns the running statements of this user with this label in their text."""

        def ask() -> list[str]:
            wanted = QueryFilter(statuses=[QueryStatus.RUNNING], warehouse_ids=[self._warehouse])
            with self._errors():
                found = QueryHistoryAPI(self._connected()).list(filter_by=wanted, max_results=100).res or []
                return [str(one.query_id) for one in found if label in (one.query_text or "")]

        return await asyncio.to_thread(ask)

    async def read_bytes(self, query_id: str) -> int | None:
        """Returns the bytes of the statement in the query history; see `WarehouseEngine`."""

        def ask() -> int | None:
            wanted = QueryFilter(statement_ids=[query_id])
            with self._errors():
                api = QueryHistoryAPI(self._connected())
                found = api.list(filter_by=wanted, include_metrics=True, max_results=1).res
                return found[0].metrics.read_bytes if found and found[0].metrics else None

        return await asyncio.to_thread(ask)

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Converts errors of the SDK. Their texts may quote a value, so only the class of an error is kept."""
        try:
            yield
        except Unauthenticated as error:
            raise errors.unauthorized(self._url, type(error).__name__) from None
        except PermissionDenied:
            what = "the user may not use the SQL warehouse or read the table"
            raise errors.forbidden(self._url, what, GRANTS) from None
        except TooManyRequests as error:
            raise errors.busy(self._url, type(error).__name__) from None
        except (requests.RequestException, TimeoutError) as error:
            raise errors.unreachable(self._url, type(error).__name__, lasting=False) from None
        except DatabricksError as error:
            raise errors.failed(self._url, error.error_code or type(error).__name__) from None
        except ValueError:
            raise errors.unauthorized(self._url, "the URL has no token that can be used") from None

    def _statement_error(self, status: StatementStatus) -> ApiError:
        """Returns our error for a failed statement, by its SQLSTATE or the class at the beginning of its text."""
        found = _CLASS.match((status.error and status.error.message) or "")
        code = status.error.error_code.value if status.error and status.error.error_code else "FAILED"
        reason = found[1] if found else code
        if status.sql_state in ("42703", "42704") or reason.startswith("UNRESOLVED_COLUMN"):
            return errors.column_missing(self._url, "a column of the statement does not exist")
        if status.sql_state in ("42P01", "42501") or reason in ("TABLE_OR_VIEW_NOT_FOUND", "INSUFFICIENT_PERMISSIONS"):
            return errors.forbidden(self._url, "a table does not exist, or the user may not read it", GRANTS)
        if code in ("TEMPORARILY_UNAVAILABLE", "SERVICE_UNDER_MAINTENANCE", "RESOURCE_EXHAUSTED"):
            return errors.busy(self._url, code)
        if code == "DEADLINE_EXCEEDED":
            return errors.timed_out(self._url, self._options.timeout_s)
        return errors.failed(self._url, reason)
