"""Shapes of unusable values: they say how values are written, never what, and count exactly once."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cli.commands.doctor.findings import judge_traits, measure_coverage
from tests.support.syncs.merging import merge
from worker.clusters import Aggregate, Rules, fold
from worker.clusters.statistics.aggregate import MAX_SHAPES
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait, most_frequent_shapes, value_shape
from worker.clusters.suggest.profiling import survey_traits


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1.203,50", '"9.999,99"'),
        ("$1,203", '"$9,999"'),
        ("N/A", '"A/A"'),
        ("€ 12", '"€ 99"'),
        ("Jane Doe", '"Aaaa Aaa"'),
        ("jane.doe@example.com", '"aaaa.aaa@aaaa….aaa"'),
        ("2024-13-45", '"9999-99-99"'),
        ("1234567890", '"9999…"'),
        ("٣٤", '"99"'),
        ("Ärzte", '"Aaaaa"'),
        ('say "hi"', "\"aaa 'aa'\""),
        ("a\x1b\u202e\u200bb\x00", '"a***a*"'),
        (" \n", '"  "'),
        ("🙂", '"*"'),
        (True, "boolean"),
        (-1.5, "-9.9"),
        (1203, "9999"),
        (float("nan"), "number"),
        (10**400, "number"),
        (1e300, "number"),
        ([1], "list"),
        ({"a": 1}, "object"),
        (None, "null"),
    ],
)
def test_a_value_has_a_shape(value: object, found: str) -> None:
    assert value_shape(value) == found


@given(st.text() | st.floats() | st.integers())
def test_a_shape_holds_no_letter_and_no_digit_of_the_value(value: object) -> None:
    found = value_shape(value)
    assert found.isprintable()
    assert len(found) <= 40
    if found != "number":
        assert {char for char in found if char.isalnum()} <= {"a", "A", "9"}
    if isinstance(value, str):
        other = "".join("9" if c.isnumeric() else "z" if c.islower() else c for c in value)
        same = other.translate(dict.fromkeys(range(ord("A"), ord("Z") + 1), "Q"))
        assert value_shape(same) == found


AMOUNTS = Rules.model_validate(
    {
        "name": "amounts",
        "traits": [{"name": "ltv", "keys": ["ltv", "value"], "type": "number"}, {"name": "plan", "type": "category"}],
        "clusters": [{"key": "everyone"}],
    }
)


def folded(*traits: dict[str, object]) -> Aggregate:
    aggregate = Aggregate()
    fold(aggregate, [{"traits": one} for one in traits], AMOUNTS)
    return aggregate


def test_errors_are_counted_by_the_shape_of_the_value_that_is_one() -> None:
    aggregate = folded(
        *[{"ltv": "1.203,50"}, {"ltv": "4.711,00", "value": 5}, {"ltv": "", "value": "9.999,99"}],
        *[{"ltv": {"value": "1.111,11", "updated_at": "2026-01-01"}}],
        *[{"ltv": "secret"}] * 2,
        *[{"plan": {"name": "pro"}}] * 3,
    )
    assert aggregate.trait_errors == {"ltv": 6, "plan": 3}
    assert frequent_shapes_by_trait(aggregate.error_shapes) == {"ltv": {'"9.999,99"': 4}, "plan": {"object": 3}}
    assert frequent_shapes_by_trait(
        Aggregate.from_bytes(aggregate.to_bytes()).error_shapes
    ) == frequent_shapes_by_trait(aggregate.error_shapes)


def test_neither_a_value_nor_a_rare_shape_is_stored() -> None:
    stored = folded(*[{"ltv": "4.711,00 EUR"}] * 3, {"ltv": "Jane Doe"}, {"ltv": "x-7"}).to_bytes().decode()
    assert "9.999,99 AAA" in stored
    assert not any(text in stored for text in ("4.711", "EUR", "Jane", "Aaaa Aaa", "x-7", "a-9"))


def test_shapes_are_optional_in_stored_aggregates() -> None:
    assert ".error_shapes" not in json.loads(folded({"ltv": 1}).to_bytes())["clusters"]
    aggregate = folded({"ltv": "?"})
    document = json.loads(aggregate.to_bytes())
    del document["clusters"][".error_shapes"]
    read = Aggregate.from_bytes(json.dumps(document).encode())
    assert (read.trait_errors, read.error_shapes) == ({"ltv": 1}, {})
    read.merge(aggregate)
    assert read.trait_errors == {"ltv": 2}


@pytest.mark.parametrize("shapes", [[], 1, {"ltv": 1}, {"ltv": {"count": 1, "counts": {'"a"': 2}, "error": 0}}])
def test_shapes_that_nothing_here_wrote_are_refused(shapes: object) -> None:
    document = json.loads(folded({"ltv": 1}).to_bytes()) | {"error_shapes": shapes}
    with pytest.raises(ValueError, match="not a stored aggregate"):
        Aggregate.from_bytes(json.dumps(document).encode())


@given(st.lists(st.sampled_from(["1,5", "22,5", "n/a", "x", "$1", "-", True, 1]), max_size=60), st.data())
def test_batches_that_are_merged_count_every_shape_once(values: list[object], data: st.DataObject) -> None:
    total = Aggregate()
    rest = list(values)
    while rest:
        size = data.draw(st.integers(1, 20))
        part, rest = folded(*({"ltv": value} for value in rest[:size])), rest[size:]
        if data.draw(st.booleans()):
            part = Aggregate.from_bytes(part.to_bytes())
        total = merge(total, part)
        if data.draw(st.booleans()):
            total = Aggregate.from_bytes(total.to_bytes())
    errors = [value for value in values if type(value) is not int]
    assert total.trait_errors["ltv"] == len(errors)
    if errors:
        counted = total.error_shapes["ltv"]
        assert counted.count == len(errors)
        expected = {one: n for one, n in Counter(map(value_shape, errors)).items() if n >= 3}
        counted.conceal_rare()
        assert counted.disclosable().items() <= expected.items()
        assert counted.counts.total() == len(errors)


def test_memory_stays_bounded_however_many_shapes_there_are() -> None:
    aggregate = Aggregate()
    signs = "!#%&()*+,-./:;<=>?@[]^_{|}~$"
    for first in signs:
        fold(aggregate, [{"traits": {"ltv": f"{first}{a}{b}"}} for a in signs for b in signs], AMOUNTS)
    data = aggregate.to_bytes()
    assert len(aggregate.error_shapes["ltv"].counts) <= MAX_SHAPES
    assert len(data) < 8192


def test_the_shapes_of_several_values_are_shown_the_most_frequent_first() -> None:
    assert most_frequent_shapes(["1,5"] * 3 + ["n/a"] * 4 + ["$"] * 5 + ["x"] * 2) == ('"$"', '"a/a"')
    assert most_frequent_shapes([]) == ()


def test_doctor_and_suggest_show_the_shapes_of_what_they_cannot_use() -> None:
    page = [{"traits": {"ltv": "1.203,50", "churn_risk": 0.1}}] * 3 + [{"traits": {"ltv": "Jane Doe"}}]
    found = {trait.name: trait for trait in measure_coverage(page, as_of=0.0)}
    assert (found["ltv"].unusable, found["ltv"].like) == (4, ('"9.999,99"',))
    [finding] = [one for one in judge_traits(list(found.values()), len(page), "spa_1") if "ltv" in one.found]
    assert 'unusable in 4, like "9.999,99"' in finding.found
    [key] = survey_traits([{"traits": {"spent": {"amount": 5}}}] * 3, as_of=0.0).keys
    assert (key.type, "like object" in key.remark) == (None, True)
