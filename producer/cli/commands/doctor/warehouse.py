"""Checks the warehouse for `doctor`: login, rights, table, columns, rows, and what a sync would read.

Only names, counts and one time come from the warehouse, by one statement that may take `COUNT_WITHIN_S`.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from producer.cli.commands.doctor.findings import Finding, Verdict, describe_api_error
from producer.cli.views.time_formats import local_time
from worker.clusters import Rules
from worker.clusters.sql.templates import column, sql, text
from worker.errors import ApiError
from worker.jobs.api_factories import warehouse_access
from worker.models.request import SyncRequest
from worker.models.warehouse import AUTO_TABLE, WarehouseColumns
from worker.segment.column_names import find_column, match_keys
from worker.segment.warehouse import WarehouseAccess, WarehouseEngine
from worker.segment.warehouse.engine import Estimate
from worker.segment.warehouse.profile_sample import find_roles
from worker.segment.warehouse.table import ReadTable, compile_for, find_named_table, read_shape, table_expression
from worker.segment.warehouse.where import parse_where
from worker.settings import Settings

SUBJECT = "Warehouse"
COUNT_WITHIN_S = 120.0

MOMENTS = ("received_at", "uuid_ts", "updated_at", "timestamp")
"""Columns that say when a row came; the first that exists counts."""

STALE_AFTER_S = 2 * 86_400
"""Profiles Sync runs every hour."""


@dataclass(frozen=True)
class TableCounts:
    """The counts of a table.

    Attributes:
        rows: Number of rows.
        newest: When the newest row came, Unix seconds; None: no column says so.
        keys: Trait key → rows that have a value for it.
    """

    rows: int
    newest: float | None
    keys: Mapping[str, int]


@dataclass(frozen=True)
class TableChoice:
    """Which table the user asked for.

    Attributes:
        table: As `--from-warehouse` names it; None: the option was not given.
        columns: Its columns, if they do not have the usual names.
    """

    table: str | None
    columns: WarehouseColumns | None = None


NO_TABLE = TableChoice(None)


async def check_warehouse(
    settings: Settings, space_id: str | None, rules: Rules, choice: TableChoice
) -> AsyncIterator[Finding]:
    """Yields the finding of each check, up to the first that makes the others impossible.

    Args:
        settings: Of the space.
        space_id: The space, for messages.
        rules: The clusters to check the table against.
        choice: The table. A missing table is a failure only if the user asked for one.
    """
    request = SyncRequest(
        space_id="any",
        rules=rules,
        warehouse=choice.table or AUTO_TABLE,
        warehouse_columns=choice.columns,
    )
    wanted = choice.table is not None
    try:
        access = warehouse_access(settings, space_id, timeout_s=COUNT_WITHIN_S)
        engine = access.open()
    except ApiError as error:
        yield Finding("fail", SUBJECT, *describe_api_error(error), id="warehouse.connection")
        return
    try:
        async for finding in _check_table(engine, access, request, wanted=wanted):
            yield finding
    finally:
        await engine.close()


async def _check_table(
    engine: WarehouseEngine, access: WarehouseAccess, request: SyncRequest, *, wanted: bool
) -> AsyncIterator[Finding]:
    try:
        found = await find_named_table(engine, access.url, request.warehouse or "")
    except ApiError as error:
        answers = error.code == "table_missing"
        if answers:
            yield _connected(access)
        where = "warehouse.table" if answers else "warehouse.connection"
        yield Finding("fail" if wanted or not answers else "warn", SUBJECT, *describe_api_error(error), id=where)
        return
    yield _connected(access)
    try:
        await engine.refuse_writer(found)
        yield Finding(
            "ok", SUBJECT, f"the user may read the table {found.name} and not change it", id="warehouse.read_only"
        )
    except ApiError as error:
        yield Finding("fail", SUBJECT, *describe_api_error(error), id="warehouse.read_only")
    try:
        roles = find_roles(access.url, found, request.warehouse_columns)
        table = ReadTable(found, read_shape(access.url, found, request.rules, request.warehouse_columns))
        statement = compile_for(engine, table, request, as_of=time.time(), where=access.where)
    except ApiError as error:
        yield Finding("fail", SUBJECT, *describe_api_error(error), id="warehouse.table")
        return
    yield Finding("ok", SUBJECT, f"{found.name} has {_shape_of(table, roles)}", id="warehouse.table")
    try:
        counts = await _count(engine, access, table, roles, request.rules)
        for finding in judge_counts(counts, request.rules, roles, now=time.time()):
            yield finding
    except ApiError as error:
        verdict: Verdict = "warn" if error.code == "read_timeout" else "fail"
        yield Finding(verdict, SUBJECT, *describe_api_error(error), id="warehouse.rows")
    try:
        expected = await engine.estimate(statement.sql)
    except ApiError as error:
        yield Finding("fail", SUBJECT, *describe_api_error(error), id="warehouse.estimate")
        return
    if (text_ := describe_estimate(expected)) is not None:
        yield Finding("ok", SUBJECT, text_, id="warehouse.estimate")


def _connected(access: WarehouseAccess) -> Finding:
    return Finding("ok", SUBJECT, f"{access.url.place} answers", id="warehouse.connection")


async def _count(
    engine: WarehouseEngine, access: WarehouseAccess, table: ReadTable, roles: Mapping[str, str], rules: Rules
) -> TableCounts:
    """Counts by one statement. Raises ApiError."""
    keys = _counted_keys(table, roles, rules)
    moment = find_column(MOMENTS, [*table.found.columns])
    parts = [sql("COUNT(*)"), sql("MAX(:moment)", moment=column(moment)) if moment else exp.Null()]
    for key, name in keys.items():
        if "name" in roles:
            has = {"name": column(roles["name"]), "key": text(key), "value": column(roles["value"])}
            parts.append(sql("COUNT(CASE WHEN :name = :key THEN :value END)", **has))
        else:
            parts.append(sql("COUNT(:name)", name=column(name)))
    query = exp.select(*(exp.alias_(part, f"c{i}") for i, part in enumerate(parts))).from_(
        table_expression(table.found)
    )
    if access.where is not None:
        query = query.where(parse_where(access.where, engine.dialect))
    ((rows, newest, *held),) = await engine.query(query.sql(dialect=engine.dialect))
    return TableCounts(int(rows), _unix_seconds(newest), dict(zip(keys, map(int, held), strict=True)))


def _counted_keys(table: ReadTable, roles: Mapping[str, str], rules: Rules) -> dict[str, str]:
    """Trait key → column that is counted; of a row for each trait, every key."""
    if "name" in roles:
        return dict.fromkeys(rules.keys, roles["value"])
    return {} if "traits" in roles else match_keys(rules.keys, [*table.found.columns])


def _unix_seconds(moment: object) -> float | None:
    if isinstance(moment, str):
        try:
            moment = datetime.datetime.fromisoformat(moment.replace(" UTC", "+00:00"))
        except ValueError:
            return None
    if isinstance(moment, datetime.date) and not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time())
    if not isinstance(moment, datetime.datetime):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def judge_counts(counts: TableCounts, rules: Rules, roles: Mapping[str, str], *, now: float) -> list[Finding]:
    """Returns what the rows and columns of a table mean for the clusters.

    Args:
        counts: Of the table.
        rules: The clusters.
        roles: As of `find_roles`.
        now: Unix seconds.
    """
    if not counts.rows:
        advice = "Turn the table on in Segment (Profiles Sync, Selective Sync), or check WAREHOUSE_WHERE."
        return [Finding("fail", SUBJECT, "the table is empty", advice, id="warehouse.rows")]
    found = [Finding("ok", SUBJECT, f"{counts.rows:,} rows", id="warehouse.rows")]
    if counts.newest is not None:
        found.append(_judge_age(counts.newest, now))
    return found if "traits" in roles else [*found, *_judge_traits(counts, rules, is_tall="name" in roles)]


def _judge_age(newest: float, now: float) -> Finding:
    text_ = f"the newest row is of {local_time(newest)}"
    if now - newest <= STALE_AFTER_S:
        return Finding("ok", SUBJECT, text_, id="warehouse.freshness")
    advice = "Look at the state of Profiles Sync in Segment: it should write every hour."
    days = int((now - newest) / 86_400)
    return Finding("warn", SUBJECT, f"{text_}, {days} days ago", advice, id="warehouse.freshness")


def _judge_traits(counts: TableCounts, rules: Rules, *, is_tall: bool) -> list[Finding]:
    what, found = "name" if is_tall else "column", []
    for trait in rules.traits:
        held = {key: counts.keys[key] for key in trait.keys if counts.keys.get(key)}
        if held:
            text_ = ", ".join(f"{key}: in {n:,} rows" for key, n in held.items())
            found.append(Finding("ok", "Traits", text_, id=f"traits.{trait.name}"))
            continue
        missing = [key for key in trait.keys if key not in counts.keys]
        text_ = f"no {what} {' or '.join(missing)}" if missing else f"{' or '.join(trait.keys)}: in no row"
        advice = "If the table has it under another name, add that name to `keys` in the clusters file."
        found.append(Finding("warn", "Traits", text_, advice, id=f"traits.{trait.name}"))
    if not any(counts.keys.get(key) for name in rules.compiled.deciding for key in rules.trait(name).keys):
        text_ = "the table has none of the traits that the clusters compare, so no profile would be in a cluster"
        advice = "Get clusters for the traits that it has: segment-personas suggest --from-warehouse > clusters.toml"
        found.append(Finding("fail", "Traits", text_, advice, id="traits.deciding"))
    return found


def describe_estimate(expected: Estimate) -> str | None:
    """Describes what a sync would read; None if the engine gives no estimate."""
    if expected.bytes is not None:
        return f"a sync reads {expected.bytes / 1e9:,.3g} GB"
    return None if expected.rows is None else f"a sync reads about {expected.rows:,} rows, as the planner estimates"


def _shape_of(table: ReadTable, roles: Mapping[str, str]) -> str:
    if "name" in roles:
        return f"a row for each trait ({roles['id']}, {roles['name']}, {roles['value']})"
    if "traits" in roles:
        return f"all traits of a profile in {roles['traits']}"
    return f"a column for each trait, {len(table.found.columns)} columns"
