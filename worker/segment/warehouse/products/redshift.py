"""Redshift as a warehouse: PostgreSQL's protocol, with other views and settings."""

from __future__ import annotations

from worker.segment.warehouse.engine import Estimate, FoundTable, TableName
from worker.segment.warehouse.products.postgres import Postgres


class Redshift(Postgres):
    """See `WarehouseEngine`. Statements of a sync are found by the comment with which they begin."""

    dialect = "redshift"
    _rights = (
        "SELECT current_user, (SELECT usesuper FROM pg_user WHERE usename = current_user), "
        "has_table_privilege(t.name, 'INSERT') OR has_table_privilege(t.name, 'UPDATE') "
        "OR has_table_privilege(t.name, 'DELETE'), has_schema_privilege({schema}, 'CREATE'), "
        "has_database_privilege(current_database(), 'CREATE') "
        "FROM (SELECT quote_ident({schema}) || '.' || quote_ident({table}) AS name) AS t"
    )

    async def find_table(self, name: TableName) -> FoundTable | None:
        """Finds a table or view, in any case; see `WarehouseEngine`."""
        rows = await self._select(
            "SELECT table_catalog, table_schema, table_name, column_name, data_type FROM svv_columns "
            "WHERE LOWER(table_name) = LOWER({table}) "
            "AND LOWER(table_schema) = LOWER(COALESCE({schema}, current_schema())) "
            "AND LOWER(table_catalog) = LOWER(COALESCE({database}, current_database())) ORDER BY ordinal_position",
            table=name.table,
            schema=name.schema or self._url.schema,
            database=name.database,
        )
        if not rows:
            return None
        _, schema, table, *_ = rows[0]
        return FoundTable(TableName((schema, table)), {str(column): str(kind) for *_, column, kind in rows})

    async def _backends(self, label: str) -> list[int]:
        rows = await self._select(
            "SELECT pid FROM stv_recents WHERE status = 'Running' AND query LIKE {beginning}",
            beginning=f"/* {label} */%",
        )
        return [pid for (pid,) in rows]

    async def estimate(self, text: str) -> Estimate:
        """Returns an empty estimate: Redshift's plan is text for people."""
        return Estimate()

    def _session(self) -> tuple[tuple[str, str, bool], ...]:
        return (
            ("statement_timeout", f"{self._timeout_ms}", True),
            ("timezone", "'UTC'", True),
            ("default_transaction_read_only", "on", False),
        )
