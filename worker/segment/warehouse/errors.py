"""The errors of a warehouse, the same for every engine. An engine adds the reason in its own words, never its text.

A text of a warehouse may quote a value of a row or a secret, so `reason` is a code of the engine or our own words.
"""

from __future__ import annotations

from worker.errors import Permanent, ResumableStop, Retry
from worker.warehouse_url import WarehouseUrl


def unauthorized(url: WarehouseUrl, reason: str) -> ResumableStop:
    """Returns the error that the warehouse refuses the user, the password or the token."""
    return ResumableStop(
        "warehouse_unauthorized",
        f"{url.place}: it refuses the login ({reason})",
        hint="Check the user and the secret in WAREHOUSE_URL, then resume.",
    )


def unreachable(url: WarehouseUrl, reason: str, *, lasting: bool) -> Retry | ResumableStop:
    """No connection can be made; `lasting` if a second attempt would fail in the same way."""
    text = f"{url.place}: cannot connect ({reason})"
    if lasting:
        hint = "Check the host, the port and the options in WAREHOUSE_URL, then resume."
        return ResumableStop("warehouse_unreachable", text, hint=hint)
    return Retry(
        "warehouse_unreachable", text, hint="Check that the warehouse runs and that workers may connect to it."
    )


def connection_lost(url: WarehouseUrl) -> Retry:
    """Returns the error that the connection ended while a statement ran."""
    return Retry(
        "warehouse_connection_lost",
        f"{url.place}: the connection was lost while the statement ran",
        hint="Check that the warehouse runs, then resume: the statement starts again.",
    )


def busy(url: WarehouseUrl, reason: str) -> Retry:
    """Returns the error that the warehouse takes no more connections or statements for now."""
    return Retry(
        "warehouse_busy",
        f"{url.place}: it accepts no more statements at the moment ({reason})",
        hint="Allow more connections at the warehouse, or run fewer syncs at a time.",
    )


def timed_out(url: WarehouseUrl, timeout_s: float) -> ResumableStop:
    """Returns the error that the statement took longer than `WAREHOUSE_TIMEOUT_S`."""
    return ResumableStop(
        "read_timeout",
        f"{url.place}: the statement took longer than WAREHOUSE_TIMEOUT_S, {timeout_s:g} seconds",
        hint="Raise WAREHOUSE_TIMEOUT_S or give the warehouse more resources, then resume.",
    )


def out_of_memory(url: WarehouseUrl, reason: str, hint: str) -> ResumableStop:
    """Returns the error that the engine has not enough memory or disk space; `reason` says which."""
    return ResumableStop("out_of_memory", f"{url.place}: {reason}", hint=hint)


def forbidden(url: WarehouseUrl, reason: str, hint: str) -> ResumableStop:
    """Returns the error that the user may not read the table."""
    return ResumableStop("warehouse_forbidden", f"{url.place}: {reason}", hint=hint)


def can_write(url: WarehouseUrl, reason: str, hint: str) -> ResumableStop:
    """Returns the error that the user may change data, which no sync needs; `hint` has the right grants."""
    return ResumableStop("warehouse_can_write", f"{url.place}: {reason}", hint=hint)


def table_missing(url: WarehouseUrl, table: str) -> ResumableStop:
    """Returns the error that the table does not exist, or the user may not see it."""
    return ResumableStop(
        "table_missing",
        f"{url.place}: it has no table {table}, or the user may not see it",
        hint="Name the table with its schema, --from-warehouse schema.table, or put ?schema= into WAREHOUSE_URL.",
    )


def column_missing(url: WarehouseUrl, reason: str) -> Permanent:
    """Returns the error that a column that was there when the table was described is gone."""
    return Permanent(
        "column_missing",
        f"{url.place}: {reason}",
        hint="Start a new sync, which looks at the columns of the table again.",
    )


def failed(url: WarehouseUrl, reason: str) -> ResumableStop:
    """Any other failure of a statement; `reason` is the code that the engine gives it."""
    return ResumableStop(
        "warehouse_error",
        f"{url.place}: the statement failed ({reason})",
        hint="Look for this code in the documentation of the warehouse and in its log.",
    )
