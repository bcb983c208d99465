"""BigQuery as a warehouse, through its official client.

The id of a job is ours: it begins with the label of the sync, so that a successor finds the job whatever was lost. The
result of a job is kept for 24 hours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import requests
from google.api_core import exceptions as google
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from worker.errors import ApiError
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, Estimate, FoundTable, Row, TableName
from worker.segment.warehouse.products.remote_engine import RemoteEngine, StatementState, silence
from worker.warehouse_url import WarehouseUrl

silence("google")

LABEL = "segment-personas-sync"
REQUEST_TIMEOUT_S = 60.0
RETRY = bigquery.DEFAULT_RETRY.with_timeout(120.0)
GRANTS = "Grant it with the statements of docs/warehouses.md."

WRITES = ("bigquery.tables.updateData", "bigquery.tables.update", "bigquery.tables.delete")

_TYPES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}
"""Names of types in the API → names in SQL."""


class BigQuery(RemoteEngine):
    """See `WarehouseEngine`.

    Args:
        url: `bigquery://project/dataset?location=…&credentials_file=…&maximum_bytes_billed=…`. Without a file, the
            credentials of the environment are used.
        options: Time that statements may take.
    """

    dialect = "bigquery"
    title = "BigQuery"

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        super().__init__(url, options)
        self._dataset = url.schema or unquote(url.parts.path).strip("/") or None
        self._opened: bigquery.Client | None = None

    def _client(self) -> bigquery.Client:
        if self._opened is None:
            project, given = unquote(self._url.parts.hostname or ""), self._url.options
            where = {"project": project or None, "location": given.get("location")}
            with self._errors():
                if file := given.get("credentials_file"):
                    self._opened = bigquery.Client.from_service_account_json(file, **where)
                elif os.environ.get("BIGQUERY_EMULATOR_HOST"):
                    self._opened = bigquery.Client(credentials=AnonymousCredentials(), **where)
                else:
                    self._opened = bigquery.Client(**where)
        return self._opened

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view, in any case; see `WarehouseEngine`."""
        return await asyncio.to_thread(self._find, name)

    def _find(self, name: TableName) -> FoundTable | None:
        dataset = name.schema or self._dataset
        if dataset is None:
            return None
        with self._errors():
            client = self._client()
            place = f"{name.database or client.project}.{dataset}"
            try:
                try:
                    table = client.get_table(f"{place}.{name.table}", retry=RETRY, timeout=REQUEST_TIMEOUT_S)
                except google.NotFound:
                    tables = client.list_tables(place, retry=RETRY, timeout=REQUEST_TIMEOUT_S)
                    like = next((one for one in tables if one.table_id.lower() == name.table.lower()), None)
                    if like is None:
                        return None
                    table = client.get_table(like.reference, retry=RETRY, timeout=REQUEST_TIMEOUT_S)
            except (google.NotFound, google.Forbidden):  # without rights on the dataset, its tables cannot be listed
                return None
        columns = {field.name: _type_of(field) for field in table.schema}
        return FoundTable(TableName((table.project, table.dataset_id, table.table_id)), columns)

    async def write_privileges(self, table: FoundTable) -> list[str]:
        """Returns which permissions to change a table this account has."""

        def ask() -> list[str]:
            with self._errors():
                found = self._client().test_iam_permissions(str(table.name), WRITES, timeout=REQUEST_TIMEOUT_S)
                return list(found.get("permissions", ()))

        return await asyncio.to_thread(ask)

    def _start(self, sql: str, label: str) -> str:
        query_id = f"{_label(label) or LABEL}_{secrets.token_hex(8)}"
        with self._errors():
            config = self._config(labels={LABEL: _label(label)}, job_timeout_ms=int(self._options.timeout_s * 1000))
            self._client().query(sql, config, job_id=query_id, retry=RETRY, job_retry=None, timeout=REQUEST_TIMEOUT_S)
        return query_id

    def _config(self, **more: Any) -> bigquery.QueryJobConfig:
        limit = self._url.options.get("maximum_bytes_billed")
        dataset = f"{self._client().project}.{self._dataset}" if self._dataset else None
        return bigquery.QueryJobConfig(
            default_dataset=dataset, maximum_bytes_billed=int(limit) if limit else None, **more
        )

    def _job(self, query_id: str) -> Any:
        return self._client().get_job(query_id, retry=RETRY, timeout=REQUEST_TIMEOUT_S)

    def _state(self, query_id: str) -> StatementState:
        with self._errors():
            try:
                job = self._job(query_id)
            except google.NotFound:
                return StatementState("unknown")
        if job.state != "DONE":
            return StatementState("running")
        if job.error_result is None:
            return StatementState("succeeded", bytes=job.total_bytes_processed)
        return StatementState("failed", self._job_error(job.error_result))

    def _rows(self, query_id: str) -> Iterable[Row]:
        with self._errors():
            for row in self._job(query_id).result(retry=RETRY, timeout=REQUEST_TIMEOUT_S):
                yield row.values()

    def _stop(self, query_id: str) -> None:
        with self._errors():
            self._client().cancel_job(query_id, retry=RETRY, timeout=REQUEST_TIMEOUT_S)

    async def running(self, label: str) -> list[str]:
        """Returns the running jobs of this account with this label."""

        def ask() -> list[str]:
            with self._errors():
                jobs = [
                    job
                    for state in ("running", "pending")
                    for job in self._client().list_jobs(state_filter=state, retry=RETRY, timeout=REQUEST_TIMEOUT_S)
                ]
                return [job.job_id for job in jobs if (job.labels or {}).get(LABEL) == _label(label)]

        return await asyncio.to_thread(ask)

    async def estimate(self, sql: str) -> Estimate:
        """Returns what a dry run says, which costs nothing; see `WarehouseEngine`."""

        def ask() -> Estimate:
            with self._errors():
                config = self._config(dry_run=True, use_query_cache=False)
                job = self._client().query(sql, config, retry=RETRY, timeout=REQUEST_TIMEOUT_S)
                return Estimate(bytes=job.total_bytes_processed)

        return await asyncio.to_thread(ask)

    async def close(self) -> None:
        """Closes the connections; jobs run on."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Converts errors of the client. Their texts may quote a value, so only the status and the reason are kept."""
        try:
            yield
        except google.RetryError as error:
            raise self._converted(error.cause) from None
        except (
            google.GoogleAPICallError,
            auth.GoogleAuthError,
            requests.RequestException,
            OSError,
            ValueError,
        ) as error:
            raise self._converted(error) from None

    def _converted(self, error: BaseException | None) -> ApiError:
        url = self._url
        match error:
            case auth.DefaultCredentialsError():
                return errors.unauthorized(url, "no credentials were found; ?credentials_file= names a key file")
            case auth.TransportError() | requests.RequestException():
                return errors.unreachable(url, type(error).__name__, lasting=False)
            case auth.GoogleAuthError() | google.Unauthorized():
                return errors.unauthorized(url, type(error).__name__)
            case google.GoogleAPICallError():
                found = error.errors[0] if error.errors and isinstance(error.errors[0], dict) else {}
                return self._job_error({"reason": _REASONS.get(type(error), ""), "message": error.message, **found})
        return errors.unreachable(url, "an option or the credentials file is not usable", lasting=True)

    def _job_error(self, found: Mapping[str, Any]) -> ApiError:
        """Returns our error for the reason of a failed job or request."""
        url, reason, message = self._url, str(found.get("reason", "")), str(found.get("message", ""))
        match reason:
            case "accessDenied" | "notFound":
                return errors.forbidden(url, "a table does not exist, or the account may not read it", GRANTS)
            case "invalidQuery" if message.startswith("Unrecognized name"):
                return errors.column_missing(url, "a column of the statement does not exist")
            case "resourcesExceeded" | "responseTooLarge":
                what = "the statement needs more memory than BigQuery gives it"
                return errors.out_of_memory(url, what, "Use a project with more slots.")
            case "timeout":
                return errors.timed_out(url, self._options.timeout_s)
            case "stopped":
                return errors.failed(url, "it was cancelled, or took longer than WAREHOUSE_TIMEOUT_S")
            case "quotaExceeded" | "rateLimitExceeded" | "jobRateLimitExceeded":
                return errors.busy(url, reason)
            case "backendError" | "internalError" | "jobBackendError" | "jobInternalError":
                return errors.connection_lost(url)
            case "bytesBilledLimitExceeded":
                return errors.failed(url, "it would read more than maximum_bytes_billed of the URL")
        return errors.failed(url, reason or "no reason given")


_REASONS: Mapping[type, str] = {
    google.Forbidden: "accessDenied",
    google.NotFound: "notFound",
    google.TooManyRequests: "rateLimitExceeded",
    google.InternalServerError: "backendError",
    google.BadGateway: "backendError",
    google.ServiceUnavailable: "backendError",
    google.GatewayTimeout: "backendError",
}
"""Reasons of answers that name none."""


def _type_of(field: bigquery.SchemaField) -> str:
    name = _TYPES.get(field.field_type, field.field_type)
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def _label(text: str) -> str:
    """Returns a text with only the characters that labels and ids of jobs may have."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:63]
