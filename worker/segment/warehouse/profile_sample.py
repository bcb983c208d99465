"""Reads some profiles of a table, for `suggest`. They stay in the memory of the process that asks for them.

Which ones does not depend on chance: first those whose identifier has an MD5 that begins with `FIRST_DIGITS`, which are
spread over the table; if they are too few, any.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import orjson
from sqlglot import exp

from worker.clusters.sql.templates import column, sql, text
from worker.models.warehouse import WarehouseColumns
from worker.segment.column_names import (
    ENVELOPE,
    ID_COLUMNS,
    MERGED_COLUMN,
    NAME_COLUMNS,
    TRAITS_COLUMN,
    VALUE_COLUMN,
    find_column,
)
from worker.segment.warehouse.engine import FoundTable, Row, WarehouseEngine
from worker.segment.warehouse.table import spelled_columns, table_expression
from worker.segment.warehouse.where import parse_where
from worker.warehouse_url import WarehouseUrl

FIRST_DIGITS = "00"
"""One profile in 256."""

MAX_TRAITS = 300
"""Rows of a profile that are read of a table with a row for each trait, on average."""


async def read_profiles(
    engine: WarehouseEngine,
    url: WarehouseUrl,
    found: FoundTable,
    given: WarehouseColumns | None,
    *,
    limit: int,
    where: str | None = None,
) -> list[object]:
    """Returns up to `limit` profiles as a page of the API has them: with an object `traits`.

    Args:
        engine: Of the warehouse.
        url: For messages.
        found: The table.
        given: Its columns as the user names them; None: they have the usual names.
        limit: Number of profiles.
        where: `WAREHOUSE_WHERE`.

    Raises:
        ResumableStop: `warehouse_where`.
        Permanent: `table_shape`: a column that the user names does not exist.
        ApiError: As the engine.
    """
    roles = find_roles(url, found, given)
    conditions: list[exp.Expr] = [] if where is None else [parse_where(where, engine.dialect)]
    if (merged := roles.get("merged_to")) is not None:
        conditions.append(sql("COALESCE(CAST(:merged AS TEXT), '') = ''", merged=column(merged)))
    entries: list[object] = []
    spread = _is_spread(roles["id"]) if "id" in roles else None
    for chosen in ([*conditions, spread], conditions) if spread is not None else (conditions,):
        query = _query(found, roles, chosen, limit).sql(dialect=engine.dialect)
        entries = _entries(roles, found, await engine.query(query))
        if len(entries) >= limit:
            break
    return entries[:limit]


def find_roles(url: WarehouseUrl, found: FoundTable, given: WarehouseColumns | None) -> dict[str, str]:
    """Returns role → column: `id`, `name` and `value` of a row for each trait; otherwise those of `id`, `traits` and
    `merged_to` that exist. Raises Permanent `table_shape`.
    """
    named, names = {} if given is None else spelled_columns(url, found, given.given), [*found.columns]
    usual = {
        "id": find_column(ID_COLUMNS, names),
        "merged_to": find_column([MERGED_COLUMN], names),
        "traits": find_column([TRAITS_COLUMN], names),
        "name": find_column(NAME_COLUMNS, names),
        "value": find_column([VALUE_COLUMN], names),
    }
    roles = {role: name for role, name in usual.items() if name is not None} | named
    if "name" in named or ("traits" not in roles and {"id", "name", "value"} <= roles.keys()):
        return {role: roles[role] for role in ("id", "name", "value")}
    return {role: name for role, name in roles.items() if role not in ("name", "value")}


def _is_spread(id_: str) -> exp.Expr:
    return sql("SUBSTRING(MD5(CAST(:id AS TEXT)), 1, 2) = :first", id=column(id_), first=text(FIRST_DIGITS))


def _query(found: FoundTable, roles: Mapping[str, str], conditions: Sequence[exp.Expr], limit: int) -> exp.Select:
    table, condition = table_expression(found), exp.and_(*conditions) if conditions else exp.true()
    if "name" in roles:
        ids = exp.select(column(roles["id"])).distinct().from_(table).where(condition).limit(limit)
        wanted = sql(":id IN (SELECT * FROM :ids)", id=column(roles["id"]), ids=ids.subquery("chosen"))
        parts = [column(roles[role]) for role in ("id", "name", "value")]
        return exp.select(*parts).from_(table).where(exp.and_(condition, wanted)).limit(limit * MAX_TRAITS)
    columns = [roles["traits"]] if "traits" in roles else _trait_columns(found)
    return exp.select(*map(column, columns)).from_(table).where(condition).limit(limit)


def _trait_columns(found: FoundTable) -> list[str]:
    return [name for name in found.columns if name.lower() not in ENVELOPE] or [*found.columns]


def _entries(roles: Mapping[str, str], found: FoundTable, rows: list[Row]) -> list[object]:
    if "name" in roles:
        profiles: dict[str, dict[str, Any]] = {}
        for id_, name, value in rows:
            if name is not None:
                profiles.setdefault(str(id_), {})[str(name)] = _plain(value)
        return [{"traits": traits} for traits in profiles.values()]
    if "traits" in roles:
        return [{"traits": _parsed(traits)} for (traits,) in rows]
    # Snowflake writes names in capitals; traits are found by their columns in any case.
    names = [name.lower() if name.isupper() else name for name in _trait_columns(found)]
    return [{"traits": dict(zip(names, map(_plain, row), strict=True))} for row in rows]


def _parsed(traits: object) -> object:
    try:
        return orjson.loads(traits) if isinstance(traits, str | bytes) else _plain(traits)
    except ValueError:
        return None


def _plain(value: object) -> object:
    """Returns a value of a driver as JSON has it."""
    match value:
        case None | bool() | int() | str() | list() | dict():
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case float():
            return value if math.isfinite(value) else None
        case datetime.date() | datetime.datetime():
            return value.isoformat()
    return str(value)
