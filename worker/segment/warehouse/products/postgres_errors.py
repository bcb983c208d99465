"""Converts what psycopg raises into errors of this program. No message contains a text of the server."""

from __future__ import annotations

import psycopg

from worker.errors import ApiError
from worker.segment.warehouse import errors
from worker.warehouse_url import WarehouseUrl

_UNKNOWN_HOST = ("name or service not known", "no address associated", "nodename nor servname", "translate host name")
_NO_LOGIN = ("authentication failed", "no password supplied", "pg_hba.conf", "not permitted to log in")
_FULL = ("too many connections", "too many clients", "connection slots are reserved")
_STARTS = ("starting up", "shutting down", "recovery mode", "not yet accepting")

_OUT_OF_ROOM = {"53100": "disk space", "53200": "memory", "53400": "temporary space than it may use"}
_LOST = ("08", "57P")
_AGAIN = ("40001", "40P01", "55P03")


def connect_error(url: WarehouseUrl, error: Exception) -> ApiError:
    """Returns the error for a connection that could not be made.

    The protocol gives a refused connection no code that libpq passes on, so the words of the server tell the reason.
    """
    text = str(error).lower()
    if any(words in text for words in _UNKNOWN_HOST):
        return errors.unreachable(url, "the host does not exist", lasting=True)
    if any(words in text for words in _FULL):
        return errors.busy(url, "too many connections")
    if any(words in text for words in _STARTS):
        return errors.unreachable(url, "the server is starting or stopping", lasting=False)
    if any(words in text for words in _NO_LOGIN) or ("role" in text and "does not exist" in text):
        return errors.unauthorized(url, "wrong user or password")
    if "database" in text and "does not exist" in text:
        return errors.unreachable(url, "the database does not exist", lasting=True)
    if "certificate" in text or "ssl" in text:
        return errors.unreachable(url, "TLS does not work as sslmode demands", lasting=True)
    if isinstance(error, psycopg.ProgrammingError):
        return errors.unreachable(url, "an option of the URL is not known", lasting=True)
    if "refused" in text:
        return errors.unreachable(url, "the connection is refused", lasting=False)
    if "timeout" in text or "timed out" in text:
        return errors.unreachable(url, "no answer in time", lasting=False)
    pgconn = getattr(error, "pgconn", None)
    if pgconn is not None and (pgconn.needs_password or pgconn.used_password):
        return errors.unauthorized(url, "the server ends the connection after the login")
    return errors.unreachable(url, type(error).__name__, lasting=False)


def statement_error(url: WarehouseUrl, error: psycopg.Error, timeout_s: float) -> ApiError:
    """Returns the error for a statement that failed."""
    state = error.sqlstate or ""
    if not state or state.startswith(_LOST):
        return errors.connection_lost(url)
    if state == "57014":
        return errors.timed_out(url, timeout_s)
    if state in _OUT_OF_ROOM:
        hint = "Give the server more of it, or raise its work_mem or temp_file_limit for this user."
        return errors.out_of_memory(url, f"the statement needs more {_OUT_OF_ROOM[state]}", hint)
    if state == "53300":
        return errors.busy(url, "too many connections")
    if state in _AGAIN:
        return errors.busy(url, state)
    if state == "42501":
        hint = "GRANT USAGE ON its schema and SELECT ON the table to the user in WAREHOUSE_URL, then resume."
        return errors.forbidden(url, "the user may not read the table", hint)
    if state == "42703":
        return errors.column_missing(url, "a column of the table was removed while the sync ran")
    if state in ("42P01", "3F000"):
        return errors.table_missing(url, "as the sync found it")
    return errors.failed(url, f"SQLSTATE {state}")
