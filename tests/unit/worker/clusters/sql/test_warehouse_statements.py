"""Statements of warehouses: what they look like in each dialect, and that names and words stay inside their quotes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import sqlglot
from sqlglot import exp

from tests.support.sql_agreement.aggregates import NOW
from worker.clusters import RECIPE, Rules
from worker.clusters.sql import Dialect, SourceShape, compile_statement
from worker.clusters.sql.warehouse import WarehouseDialect

DIALECTS: tuple[WarehouseDialect, ...] = get_args(WarehouseDialect)
TALL = SourceShape("tall", id="canonical_segment_id")


def compiled(rules: Rules, shape: SourceShape, dialect: Dialect, sample: float | None = None) -> str:
    table = exp.to_table("user_traits", db="segment")
    return compile_statement(rules, shape, table, dialect=dialect, as_of=NOW, sample=sample, comment="sync 1").sql


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_statement_of_the_default_rules_is_the_golden_file(dialect: WarehouseDialect) -> None:
    golden = Path(__file__).parent / f"recipe_{dialect}.sql"
    text = compiled(RECIPE, TALL, dialect) + "\n"
    if not golden.exists():
        golden.write_text(text)
    assert text == golden.read_text(), f"delete {golden.name} and run this test again to write it anew"
    assert [type(one) for one in sqlglot.parse(text, dialect=dialect)] == [exp.Union]


HOSTILE = Rules.model_validate(
    {
        "name": "hostile",
        "traits": [
            {"name": "a", "keys": ["'); DROP TABLE t; --", '"; SELECT 1'], "type": "number"},
            {"name": "b", "keys": ["a/b~c", "*/ x"], "type": "category", "values": ["it's", "`x`", "a\\b", ":a", "$1"]},
            {"name": "c", "keys": ["Ünïcode 'x' \\"], "type": "list"},
            {"name": "d", "keys": ["`"], "type": "boolean"},
            {"name": "e", "keys": ["?"], "type": "date", "max_age_days": 30.0},
        ],
        "clusters": [
            {"key": "one", "when": {"any": [{"trait": "b", "eq": "it's"}, {"trait": "c", "eq": "x\\'y"}]}},
            {"key": "two"},
        ],
    }
)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_hostile_names_and_words_stay_inside_their_quotes(dialect: WarehouseDialect) -> None:
    types = ("numeric", "text", "boolean", "date", "timestamp", "jsonb", "double precision")
    wide = SourceShape("wide", dict(zip(HOSTILE.keys, types, strict=True)), id="id", merged_to="merged_to")
    for shape in (TALL, wide):
        [statement] = sqlglot.parse(compiled(HOSTILE, shape, dialect, sample=0.5), dialect=dialect)
        assert isinstance(statement, exp.Union)
        found = {literal.name for literal in statement.find_all(exp.Literal) if literal.is_string}
        assert found >= {"it's", "`x`", "a\\b", ":a", "$1", "x\\'y"}
        names = {identifier.name for identifier in statement.find_all(exp.Identifier)}
        assert set(HOSTILE.keys) <= (found if shape is TALL else names)


def test_rules_whose_traits_no_column_has_count_profiles_only() -> None:
    [statement] = sqlglot.parse(compiled(RECIPE, SourceShape("wide", {"x": "text"}), "postgres"), dialect="postgres")
    assert isinstance(statement, exp.Select)
    assert [column.alias_or_name for column in statement.selects if not column.find(exp.Null)] == ["state", "n"]
