"""The interface of a warehouse: find a table, run a statement that can be found again, return its rows.

A statement has an id from the moment it is submitted. The caller keeps the id before it waits for the result, so that
another process can attach to the statement, or end it. Methods raise the errors of `worker.errors` only; their messages
contain neither a secret nor a value of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, TypeVar

from worker.segment.file_shards.read_options import EngineLimits

T = TypeVar("T")
Row = tuple[Any, ...]


@dataclass(frozen=True)
class EngineOptions:
    """The settings of a worker for statements.

    Attributes:
        timeout_s: Seconds that one statement may take.
        limits: What DuckDB may use in this process.
    """

    timeout_s: float
    limits: EngineLimits


@dataclass(frozen=True)
class TableName:
    """The name of a table: one to three parts, the last of which is the table.

    Attributes:
        parts: Such as `("segment", "user_traits")`, without quotes.
    """

    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `table`, `schema.table` or `database.schema.table`."""
        return cls(tuple(text.split(".")))

    @property
    def table(self) -> str:
        """The last part."""
        return self.parts[-1]

    @property
    def schema(self) -> str | None:
        """The part before the table; None if the name has none."""
        return self.parts[-2] if len(self.parts) > 1 else None

    @property
    def database(self) -> str | None:
        """The first of three parts; None if the name has fewer."""
        return self.parts[0] if len(self.parts) > 2 else None

    def __str__(self) -> str:
        """The schema and the table, for messages."""
        return ".".join(self.parts[-2:])


@dataclass(frozen=True)
class FoundTable:
    """A table or view that exists.

    Attributes:
        name: Its parts as the engine spells them, with as many as a quoted name in a statement needs.
        columns: Its columns in their order: name, as the engine spells it → type, as the engine names it.
    """

    name: TableName
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Estimate:
    """The engine's estimate for a statement before it runs. None: it does not report the figure.

    Attributes:
        bytes: Bytes that it reads.
        rows: Rows that it reads.
    """

    bytes: int | None = None
    rows: int | None = None


class WarehouseEngine(Protocol):
    """A connection to one warehouse, for one job.

    Attributes:
        dialect: Of SQL, as sqlglot names it.
        title: Name of the product, for messages.
        keeps_results: Whether a statement runs on, and its result is kept, when the process that submitted it ends.
            Otherwise a statement ends with its process, and `attach` returns False.
    """

    dialect: str
    title: str
    keeps_results: bool

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view, in any case; without a schema, in that of the URL or of the connection.

        Returns:
            None if the table does not exist or may not be seen.
        """

    async def refuse_writer(self, table: FoundTable) -> None:
        """Raises ResumableStop `warehouse_can_write` if the engine reports that this connection may write."""

    async def query(self, sql: str) -> list[Row]:
        """Runs a short statement and returns its rows."""

    async def end_earlier(self, label: str) -> None:
        """Ends every running statement that was submitted with this label by another connection, if the engine can.

        It returns when they have ended.
        """

    async def submit(self, sql: str, label: str) -> str:
        """Starts a statement.

        Args:
            sql: The statement.
            label: Names the sync in the engine's list of statements, if it has one; at most 63 characters.

        Returns:
            The id of the statement, at most 500 characters without a secret.
        """

    async def attach(self, query_id: str) -> bool:
        """Returns whether a statement of another process runs or has succeeded, so that `result` may be called."""

    async def result(self, query_id: str, read: Callable[[Iterable[Row]], T]) -> T:
        """Waits for a statement and reads its result.

        Args:
            query_id: What `submit` returned, or an id for which `attach` returned True.
            read: Reads the rows. It may be called in a thread, and is called once.

        Raises:
            Retry: `warehouse_connection_lost`, `warehouse_unreachable`, `warehouse_busy`: submit the statement again.
            ResumableStop: `read_timeout`, `out_of_memory`, `warehouse_forbidden`, `warehouse_error`.
            Permanent: `column_missing`.
        """

    async def scanned_bytes(self, query_id: str) -> int | None:
        """Returns how many bytes a finished statement read; None if the engine does not tell."""

    async def cancel(self, query_id: str) -> None:
        """Ends a statement, of this process or another, and returns when it has ended. Errors are discarded."""

    async def estimate(self, sql: str) -> Estimate:
        """Returns what the engine expects of a statement."""

    async def close(self) -> None:
        """Closes the connections. A statement that is running ends, unless the engine keeps results."""
