"""Forms of values from the field, in `tests/cases`: each file is read with its right outcome."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.clusters import RECIPE, Aggregate, Rules, fold, summarise
from worker.clusters.rules.toml_file import parse_rules

CASES = Path(__file__).parents[4] / "cases"
NOW = datetime(2026, 11, 28, tzinfo=UTC).timestamp()


def counted(name: str, rules: Rules) -> Aggregate:
    aggregate = Aggregate()
    profiles = [json.loads(line) for line in (CASES / f"{name}.ndjson").read_text().splitlines()]
    fold(aggregate, profiles, rules, as_of=NOW)
    assert aggregate.profiles == 40
    return aggregate


@pytest.fixture
def forms() -> Rules:
    return parse_rules((CASES / "forms.toml").read_text())


@pytest.mark.parametrize("name", ["date-bigquery", "date-yyyymmdd-number"])
def test_dates_of_warehouses_are_of_2026(name: str, forms: Rules) -> None:
    aggregate = counted(name, forms)
    assert (aggregate.trait_errors, aggregate.unclassified) == ({}, 0)
    recent = aggregate.clusters["recent"].numbers["last_order"]
    assert recent.count == 40
    assert 0 < recent.sketch.quantile(0.0) <= recent.sketch.quantile(1.0) < 333  # type: ignore[operator]


def test_a_list_as_json_text_holds_its_members(forms: Rules) -> None:
    aggregate = counted("list-as-json-text", forms)
    assert aggregate.trait_errors == {}
    assert aggregate.clusters["recent"].categories["tags"].disclosable() == {"a": 40, "b": 40}


def test_t_and_f_are_booleans(forms: Rules) -> None:
    aggregate = counted("boolean-t-f", forms)
    assert aggregate.trait_errors == {}
    vip = aggregate.clusters["recent"].booleans["vip"]
    lines = (CASES / "boolean-t-f.ndjson").read_text()
    assert (vip.count, vip.true) == (40, lines.count('"t"'))


def test_placeholders_as_words_are_missing() -> None:
    aggregate = counted("category-placeholders", RECIPE)
    assert aggregate.trait_errors == {}
    assert all(summary.industries == () for summary in summarise(aggregate))
    assert sum(cluster.categories["industries"].count for cluster in aggregate.clusters.values()) == 0


def test_u_0000_inside_a_word_is_dropped() -> None:
    aggregate = counted("category-nul", RECIPE)
    assert aggregate.trait_errors == {}
    assert {summary.industries for summary in summarise(aggregate) if summary.n} == {("SaaS",)}
    assert b"\\u0000" not in aggregate.to_bytes()
