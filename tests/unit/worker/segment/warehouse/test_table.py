"""Which table is read, how its rows hold profiles, and what may be asked of it."""

from __future__ import annotations

from typing import Any

import pytest

from worker.clusters import RECIPE
from worker.errors import ApiError, InvalidRequest
from worker.models.request import SyncRequest
from worker.models.versions import NewerVersion
from worker.models.warehouse import WarehouseColumns, WarehouseRead
from worker.segment.warehouse import FoundTable, TableName, WarehouseUrl
from worker.segment.warehouse.table import ReadTable, read_shape
from worker.segment.warehouse.where import parse_where

URL = WarehouseUrl.parse("postgresql://anna@db.example/analytics")
NAME = TableName(("Segment", "t"))
TALL = dict.fromkeys(("canonical_segment_id", "name", "value", "received_at"), "text")


def shape(columns: dict[str, str], **given: str) -> Any:
    return read_shape(URL, FoundTable(NAME, columns), RECIPE, WarehouseColumns(**given) if given else None)


def test_the_shape_follows_from_the_columns_or_from_those_that_are_named() -> None:
    tall = shape(TALL)
    assert (tall.kind, tall.id, tall.name, tall.value) == ("tall", "canonical_segment_id", "name", "value")
    upper = shape({name.upper(): kind for name, kind in TALL.items()})
    assert (upper.kind, upper.id, upper.name) == ("tall", "CANONICAL_SEGMENT_ID", "NAME")
    wide = shape({"user_id": "text", "LTV": "numeric", "merged_to": "text"})
    assert (wide.kind, wide.id, wide.merged_to, wide.columns["LTV"]) == ("wide", "user_id", "merged_to", "numeric")
    named = shape({"who": "text", "what": "text", "how": "text"}, id="WHO", name="what", value="how")
    assert (named.kind, named.id, named.name, named.value) == ("tall", "who", "what", "how")
    traits = shape({"who": "text", "all_of_it": "json"}, id="who", traits="all_of_it")
    assert (traits.kind, traits.column, traits.id) == ("object", "all_of_it", "who")


def test_a_table_without_traits_is_refused_by_its_columns() -> None:
    for columns, given in (
        ({"a": "text", "b": "text"}, {}),
        (TALL, {"id": "nobody", "name": "name", "value": "value"}),
    ):
        with pytest.raises(ApiError) as refused:
            shape(columns, **given)
        assert (refused.value.code, next(iter(columns)) in str(refused.value)) == ("table_shape", True)
        assert "--columns" in refused.value.hint


def test_rows_are_chosen_by_a_condition_and_a_limit_within_quotes() -> None:
    where = parse_where("received_at > '2026-01-01' -- recent", "postgres")
    chosen = {
        "tall": ReadTable(FoundTable(NAME, TALL), shape(TALL)),
        "wide": ReadTable(FoundTable(NAME, {"id": "text", "ltv": "text"}), shape({"id": "text", "ltv": "text"})),
    }
    texts = {kind: table.relation(where=where, limit=7).sql("postgres") for kind, table in chosen.items()}
    assert chosen["wide"].relation().sql("postgres") == '"Segment"."t"'
    assert texts["wide"].startswith("""(SELECT * FROM "Segment"."t" WHERE received_at > '2026-01-01' LIMIT 7) AS """)
    assert 'SELECT DISTINCT "canonical_segment_id"' in texts["tall"]
    assert texts["tall"].count("received_at > '2026-01-01'") == 2


@pytest.mark.parametrize("dialect", ["postgres", "redshift", "snowflake", "bigquery", "databricks", "duckdb"])
def test_only_one_condition_is_a_condition(dialect: str) -> None:
    for text in ("region = 'emea' AND seq > 5", "lower(name) IN ('ltv', 'plan') /* some */", "NOT deleted"):
        assert parse_where(text, dialect).sql(dialect)
    for text in (
        *("", "--", "1 = 1; DROP TABLE t", "1 = 1) OR (1 = 1", "SELECT 1", "a = 1 UNION SELECT 2", "DROP TABLE t"),
        *("a = 'b", "a = 1 /* open", "1 = 1 LIMIT 5", "x AS y", "WITH t AS (SELECT 1) SELECT * FROM t"),
    ):
        with pytest.raises(ApiError) as refused:
            parse_where(text, dialect)
        assert refused.value.code == "warehouse_where", text


def test_a_request_for_a_table_is_for_nothing_else() -> None:
    columns = {"id": "a", "name": "b", "value": "c"}
    request = SyncRequest(space_id="spa_1", warehouse="segment.user_traits", warehouse_columns=columns)  # type: ignore[arg-type]
    assert SyncRequest.from_stored(request.model_dump_json()) == request
    assert '"version":2' in request.model_dump_json()
    assert not request.reads_segment
    newer = request.model_dump_json().replace('"version":2', '"version":3')
    with pytest.raises(NewerVersion):
        SyncRequest.from_stored(newer)
    fields: tuple[dict[str, Any], ...] = (
        {"warehouse": "auto", "file": "a.parquet"},
        {"warehouse": "auto", "dialect": "inline"},
        {"warehouse": "auto", "strategy": "fan-out"},
        {"warehouse": "auto", "trait_class": "audience"},
        {"warehouse": "a.b.c.d"},
        {"warehouse": 'a"b'},
        {"warehouse": ""},
        {"warehouse_columns": columns},
        {"warehouse": "auto", "warehouse_columns": {}},
        {"warehouse": "auto", "warehouse_columns": {"name": "a", "value": "b"}},
        {"warehouse": "auto", "warehouse_columns": {"id": "a", "name": "b"}},
        {"warehouse": "auto", "warehouse_columns": {**columns, "merged_to": "d"}},
        {"warehouse": "auto", "warehouse_columns": {"seq": "a"}},
    )
    for given in fields:
        with pytest.raises(InvalidRequest):
            SyncRequest(space_id="spa_1", **given)


def test_a_statement_is_kept_and_what_another_version_kept_is_not_read() -> None:
    read = WarehouseRead("PostgreSQL", "segment.user_traits", "0a", 12.5, "42 segment-personas syn_1", None)
    assert WarehouseRead.decode(read.encode()) == read
    for text in ("", "{", "[]", '{"engine": "x"}'):
        assert WarehouseRead.decode(text) is None
