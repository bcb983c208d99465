"""Finds tables and privileges in the `information_schema` of an engine, which Snowflake and Databricks have."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import unquote

from sqlglot import exp

from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import EngineOptions, FoundTable, TableName
from worker.segment.warehouse.products.remote_engine import RemoteEngine
from worker.warehouse_url import WarehouseUrl


class InformationSchemaEngine(RemoteEngine):
    """A remote engine whose databases describe themselves.

    Attributes:
        database_word: What the engine calls a database.
        type_column: The column of `information_schema.columns` with the whole type.
        is_own_grantee: Condition on `grantee` that is true for this user and its roles or groups.
        writes: Privileges on a table that let a user change it.
    """

    database_word: ClassVar[str]
    type_column: ClassVar[str]
    is_own_grantee: ClassVar[str]
    writes: ClassVar[tuple[str, ...]]

    def __init__(self, url: WarehouseUrl, options: EngineOptions) -> None:
        super().__init__(url, options)
        self._path = [unquote(part) for part in url.parts.path.split("/") if part]

    @property
    def _database(self) -> str:
        """The database of tables whose name has none. Raises ResumableStop if the URL names none."""
        if not self._path:
            word = self.database_word
            raise errors.unreachable(self._url, f"the URL names no {word}: {self._url.scheme}://…/{word}", lasting=True)
        return self._path[0]

    @property
    def _schema(self) -> str | None:
        """The schema of tables whose name has none; None: any."""
        return self._url.schema or (self._path[1] if len(self._path) > 1 else None)

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view, in any case; see `WarehouseEngine`."""
        wanted = [f"LOWER(table_name) = {self.literal(name.table.lower())}"]
        if (schema := name.schema or self._schema) is not None:
            wanted.append(f"LOWER(table_schema) = {self.literal(schema.lower())}")
        rows = await self.query(
            f"SELECT table_catalog, table_schema, table_name, column_name, {self.type_column} "
            f"FROM {self.identifier(name.database or self._database)}.information_schema.columns "
            f"WHERE {' AND '.join(wanted)} ORDER BY table_schema, table_name, ordinal_position"
        )
        found: dict[tuple[str, ...], dict[str, str]] = {}
        for *place, column, kind in rows:
            found.setdefault(tuple(map(str, place)), {})[str(column)] = str(kind)
        if not found:
            return None
        exact = max(found, key=lambda place: (place[1] == schema, place[2] == name.table))
        return FoundTable(TableName(exact), found[exact])

    async def write_privileges(self, table: FoundTable) -> list[str]:
        """Returns the privileges on a table, granted to this user, its roles or groups, that let them change it."""
        database, schema, name = table.name.parts
        writes = ", ".join(map(self.literal, self.writes))
        rows = await self.query(
            f"SELECT DISTINCT privilege_type FROM {self.identifier(database)}.information_schema.table_privileges "
            f"WHERE table_schema = {self.literal(schema)} AND table_name = {self.literal(name)} "
            f"AND privilege_type IN ({writes}) AND {self.is_own_grantee}"
        )
        return [str(privilege) for (privilege,) in rows]

    def literal(self, text: str) -> str:
        """Returns a text as a literal of the dialect."""
        return exp.Literal.string(text).sql(dialect=self.dialect)

    def identifier(self, name: str) -> str:
        """Returns a name for a statement, with quotes only where it needs them: quotes make Snowflake mind the case."""
        return exp.to_identifier(name).sql(dialect=self.dialect)
