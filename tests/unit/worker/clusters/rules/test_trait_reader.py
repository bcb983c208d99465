"""How a trait is read: its type and bounds, and values that say when they were set."""

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.clusters.parsing.value_parsers import ParsedColumn
from worker.clusters.rules.trait import Trait
from worker.clusters.rules.trait_reader import make_trait_reader

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
NEW, OLD = "2026-02-20T00:00:00Z", "2025-02-20T00:00:00Z"


def wrapped(value: object, updated_at: object = NEW) -> dict[str, object]:
    return {"value": value, "source_id": "src_1", "updated_at": updated_at}


def read(raw: list[object], **trait: Any) -> ParsedColumn[Any]:
    return make_trait_reader(Trait(name="it", **trait), NOW).read([{"it": value} for value in raw])


@pytest.mark.parametrize(
    ("kind", "value", "plain"),
    [
        ("number", "12.5", 12.5),
        ("category", " pro ", "pro"),
        ("boolean", "TRUE", True),
        ("date", "2026-02-19T00:00:00Z", 10.0),
        ("list", ["a", "b", "a"], ("a", "b")),
    ],
)
def test_each_type_is_read_as_it_is_also_out_of_a_wrapped_value(kind: str, value: object, plain: object) -> None:
    for raw in (value, wrapped(value), wrapped(value, None), wrapped(value, "who knows")):
        column = read([raw, None], type=kind)
        assert (column.values, list(column.wrong), column.gaps) == ([plain, None], [], True)


@pytest.mark.parametrize("kind", ["number", "category", "boolean", "list"])
def test_a_value_that_was_set_too_long_ago_is_missing(kind: str) -> None:
    value: object = {"number": 1, "category": "pro", "boolean": True, "list": ["a"]}[kind]
    raw = [wrapped(value), wrapped(value, OLD), wrapped(value, None), value]
    column = read(raw, type=kind, max_age_days=30.0)
    assert [found is None for found in column.values] == [False, True, False, False]
    assert list(column.wrong) == []


def test_of_a_date_its_own_age_counts_and_not_when_it_was_set() -> None:
    column = read([wrapped(NEW, OLD), wrapped(OLD, NEW), NEW, OLD], type="date", max_age_days=30.0)
    assert column.values == [9.0, None, 9.0, None]


def test_an_object_that_does_not_wrap_a_value_is_a_trait_error() -> None:
    for raw in ({}, {"value": 1}, {"value": 1, "updated": NEW}, wrapped(wrapped(1)), wrapped("n/a")):
        column = read([1, raw], type="number")
        assert (column.values, list(column.wrong)) == ([1, None], [1])


@pytest.mark.parametrize(
    ("scale", "usable", "wrong"),
    [
        ("probability", [0, 0.5, 1], [-0.01, 1.01]),
        ("percent", [0, 50, 100], [-1, 101]),
        ("percentile", [0, 0.5, 1], [-0.01, 1.01]),
        ("plain", [-1e15, 1e15], [1.1e15]),
    ],
)
def test_a_scale_has_bounds(scale: str, usable: list[float], wrong: list[float]) -> None:
    column = read([*usable, *wrong], type="number", scale=scale)
    assert column.values == [*usable, *[None] * len(wrong)]
    assert list(column.wrong) == list(range(len(usable), len(usable) + len(wrong)))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        *((True, True), (False, False), (1, True), (0, False), (1.0, True), (0.0, False)),
        *((text, True) for text in ("true", "TRUE", "t", "T", "yes", "Y", "on", "1", "1.0", " True\n")),
        *((text, False) for text in ("false", "FALSE", "f", "F", "no", "N", "off", "0", "0.0", " False\n")),
    ],
)
def test_booleans_and_their_words_and_1_and_0_are_booleans(value: object, plain: bool) -> None:
    assert read([value, None], type="boolean").values == [plain, None]


@pytest.mark.parametrize("value", ["ja", "2", "N/A", 2, -1, 0.5, float("nan"), 10**400, [], {}, "x" * 1000])
def test_nothing_else_is_a_boolean(value: object) -> None:
    column = read([True, value], type="boolean")
    assert (column.values, list(column.wrong)) == ([True, None], [1])


def test_an_empty_list_is_a_value_and_unusable_items_are_left_out() -> None:
    raw: list[object] = [[], ["a", " a ", "b", ""], ["a", 5], ["ada@example.com"], [["a"]], "a", {}, None, "", [None]]
    column = read(raw, type="list")
    assert column.values == [(), ("a", "b"), ("a",), (), (), None, None, None, None, ()]
    assert list(column.wrong) == [2, 3, 4, 5, 6]


def test_a_second_key_is_read_of_the_profiles_that_lack_the_first() -> None:
    it = make_trait_reader(Trait(name="it", keys=("a", "b"), type="boolean"), NOW)
    column = it.read([{"a": True, "b": False}, {"b": wrapped(False)}, {"a": "?", "b": True}, {}])
    assert column.values == [True, False, True, None]
    assert list(column.wrong) == [2]
