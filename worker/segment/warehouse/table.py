"""Finds the table of a warehouse that a sync reads, and describes how its rows hold profiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from worker.clusters import Rules
from worker.clusters.sql import CompiledStatement, Dialect, SourceShape, compile_statement
from worker.errors import Permanent
from worker.models.request import SyncRequest
from worker.models.warehouse import AUTO_TABLE, WarehouseColumns
from worker.segment.column_names import (
    ID_COLUMNS,
    MERGED_COLUMN,
    NAME_COLUMNS,
    TRAITS_COLUMN,
    VALUE_COLUMN,
    find_column,
    is_tall,
    match_keys,
)
from worker.segment.warehouse import errors
from worker.segment.warehouse.engine import FoundTable, TableName, WarehouseEngine
from worker.segment.warehouse.where import parse_where
from worker.warehouse_url import WarehouseUrl

DEFAULT_TABLES = ("user_traits", "profile_traits")
"""Tables of Segment's Profiles Sync, in the order in which they are looked for."""

MAX_SHOWN = 12
"""Columns of a table that a message names."""


@dataclass(frozen=True)
class ReadTable:
    """A table with the shape of its rows.

    Attributes:
        found: The table.
        shape: How its rows hold profiles.
    """

    found: FoundTable
    shape: SourceShape

    def relation(self, *, where: exp.Condition | None = None, limit: int | None = None) -> exp.Expr:
        """Returns the rows to read: the table, or a subquery.

        Args:
            where: Condition on its rows.
            limit: Most rows to read; of a table with a row for each trait, most profiles. None: all.
        """
        table = table_expression(self.found)
        if where is None and limit is None:
            return table
        chosen = exp.select("*").from_(table)
        if where is not None:
            chosen = chosen.where(where)
        if limit is not None and self.shape.kind == "tall":
            id_ = exp.column(exp.to_identifier(self.shape.id or "", quoted=True))
            ids = exp.select(id_).distinct().from_(table).where(id_.is_(exp.null()).not_())
            ids = ids if where is None else ids.where(where)
            chosen = chosen.where(id_.isin(query=exp.select("*").from_(ids.limit(limit).subquery("ids"))))
        elif limit is not None:
            chosen = chosen.limit(limit)
        rows: exp.Subquery = chosen.subquery("chosen")
        return rows


def table_expression(found: FoundTable) -> exp.Table:
    """Returns a table as SQL, with its name in quotes."""
    *schema, name = [exp.to_identifier(part, quoted=True) for part in found.name.parts]
    return exp.Table(this=name, **dict(zip(("db", "catalog"), reversed(schema), strict=False)))


async def find_table(engine: WarehouseEngine, url: WarehouseUrl, request: SyncRequest) -> ReadTable:
    """Finds the table of a request, or the first of `DEFAULT_TABLES` that exists.

    Raises:
        ResumableStop: `table_missing`.
        Permanent: `table_shape`: its columns hold no traits of the rules.
        ApiError: As the engine.
    """
    assert request.warehouse is not None
    found = await find_named_table(engine, url, request.warehouse)
    return ReadTable(found, read_shape(url, found, request.rules, request.warehouse_columns))


async def find_named_table(engine: WarehouseEngine, url: WarehouseUrl, name: str) -> FoundTable:
    """Finds a table by its name, or the first of `DEFAULT_TABLES` for `auto`. Raises ResumableStop `table_missing`."""
    names = DEFAULT_TABLES if name == AUTO_TABLE else (name,)
    for one in names:
        if found := await engine.find_table(TableName.parse(one)):
            return found
    raise errors.table_missing(url, " and no table ".join(names))


def read_shape(url: WarehouseUrl, found: FoundTable, rules: Rules, given: WarehouseColumns | None) -> SourceShape:
    """Returns how the rows of a table hold profiles. Raises Permanent `table_shape`."""
    names = [*found.columns]
    columns = {} if given is None else spelled_columns(url, found, given.given)
    id_ = columns.get("id") or find_column(ID_COLUMNS, names)
    merged = columns.get("merged_to") or find_column([MERGED_COLUMN], names)
    traits = columns.get("traits") or find_column([TRAITS_COLUMN], names)
    if "name" in columns or ("traits" not in columns and is_tall(names, rules.keys)):
        name = columns.get("name") or find_column(NAME_COLUMNS, names)
        value = columns.get("value") or find_column([VALUE_COLUMN], names)
        assert id_ is not None
        assert name is not None
        assert value is not None
        return SourceShape("tall", id=id_, name=name, value=value)
    if traits is not None:
        return SourceShape("object", column=traits, id=id_, merged_to=merged)
    if match_keys(rules.keys, names):
        return SourceShape("wide", columns=found.columns, id=id_, merged_to=merged)
    raise _shape_error(url, found, "none of them is named like a trait of the rules")


def compile_for(
    engine: WarehouseEngine,
    table: ReadTable,
    request: SyncRequest,
    *,
    as_of: float,
    where: str | None = None,
    comment: str = "",
) -> CompiledStatement:
    """Compiles the statement of a sync.

    Args:
        engine: Runs it.
        table: The table.
        request: Of the sync.
        as_of: When the sync began, Unix seconds.
        where: `WAREHOUSE_WHERE`.
        comment: Names the sync in the statement.

    Raises:
        ResumableStop: `warehouse_where`.
        Permanent: `no_ids`: a sample is asked for, and no column has identifiers.
    """
    if request.sample is not None and table.shape.id is None:
        raise Permanent(
            "no_ids",
            f"Table {table.found.name}: no column has identifiers, so no sample can be picked",
            hint="Read all profiles, or name the column: --columns id=COLUMN.",
        )
    if table.shape.kind == "object" and engine.dialect != "duckdb":
        raise Permanent(
            "table_shape",
            f"Table {table.found.name}: its traits are in one column, {table.shape.column}, which only DuckDB reads",
            hint="Make a view with a column for each trait, or with a row for each trait, and name that.",
        )
    condition = None if where is None else parse_where(where, engine.dialect)
    return compile_statement(
        request.rules,
        table.shape,
        table.relation(where=condition, limit=request.max_profiles),
        dialect=cast("Dialect", engine.dialect),
        as_of=as_of,
        sample=request.sample,
        comment=comment,
    )


def spelled_columns(url: WarehouseUrl, found: FoundTable, given: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns that a request names, as the table spells them."""
    columns: dict[str, str] = {}
    for role, name in given.items():
        column = name if name in found.columns else find_column([name.lower()], [*found.columns])
        if column is None:
            raise _shape_error(url, found, f"{name}, which --columns names as {role}, is not one of them")
        columns[role] = column
    return columns


def _shape_error(url: WarehouseUrl, found: FoundTable, problem: str) -> Permanent:
    names = [*found.columns]
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return Permanent(
        "table_shape",
        f"{url.place}: the table {found.name} has the columns {', '.join(names[:MAX_SHOWN])}{more}; {problem}",
        hint="Name its columns with --columns id=…,name=…,value=… or --columns id=…,traits=…, or use a clusters file "
        "whose traits are columns of the table (`segment-personas suggest`).",
    )
