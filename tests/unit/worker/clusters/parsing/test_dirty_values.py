"""Whatever values profiles hold: folding never raises, normal forms count alike, and all that is shown is printable."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.clusters import Aggregate, Rules, fold, summarise
from worker.clusters.statistics.value_shape import frequent_shapes_by_trait
from worker.mavera.payload import build_payload
from worker.mavera.reference import Reference

RULES = Rules.model_validate(
    {
        "name": "every-type",
        "traits": [
            {"name": "spend", "type": "number"},
            {"name": "seen", "type": "date"},
            {"name": "vip", "type": "boolean"},
            {"name": "tags", "type": "list", "values": ["Café", "a", "unknown"]},
            {"name": "plan", "type": "category"},
        ],
        "clusters": [{"key": "named", "when": {"trait": "plan", "in": ["Café", "unknown"]}}, {"key": "others"}],
    }
)
NOW = 1_772_366_400.0

signs = st.sampled_from(
    list("aAé\u0301 9.,:;-/\"'<>{}[]()$@#\\\n\t\x00\x1b\x7f\x9b\u200b\u202e\u2028\u3164\ufe0f\U000e0041")
)
words = st.text(signs | st.characters(), max_size=12) | st.sampled_from(
    [
        "Café",
        "Cafe\u0301",
        "unknown",
        "N/A",
        "(not set)",
        "2026-01-31 00:00:00 UTC",
        "20260131",
        '["a","b"]',
        "t",
        "yes",
        "1,5",
    ]
)
scalars = words | st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([20260131, 0, -1, 10**400])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["value", "updated_at", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
profiles = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(("spend", "seen", "vip", "tags", "plan"), values)), max_size=12
)


def folded(traits: list[dict[str, object]], copies: int = 1) -> Aggregate:
    aggregate = Aggregate()
    for _ in range(copies):
        fold(aggregate, [{"traits": one} for one in traits], RULES, as_of=NOW)
    return aggregate


@examples(100, thorough=1500)
@given(profiles)
def test_all_that_is_shown_of_any_values_is_printable(traits: list[dict[str, object]]) -> None:
    aggregate = folded(traits, copies=3)
    assert aggregate.profiles == 3 * len(traits)
    for summary in summarise(aggregate, RULES):
        payload = build_payload(summary, Reference("3f9a2c1d4e", "8b21cc90"), RULES)
        assert json.dumps(payload.as_json(), ensure_ascii=False).isprintable()
    assert all(
        shape.isprintable() for shapes in frequent_shapes_by_trait(aggregate.error_shapes).values() for shape in shapes
    )
    assert aggregate.to_bytes().decode().isprintable()
    assert Aggregate.from_bytes(aggregate.to_bytes()) == aggregate


@given(profiles, st.sampled_from(["\x00", "\u200b", "\u202e", "\x1b", "\ufe0f"]))
def test_invisible_characters_change_no_cluster_and_no_count(traits: list[dict[str, object]], char: str) -> None:
    clean = [{name: one[name] for name in ("plan", "tags") if isinstance(one.get(name), str)} for one in traits]
    dirty = [
        {name: f"{char}{value}{char}" if name == "plan" else value for name, value in one.items()} for one in clean
    ]
    assert folded(clean).clusters == folded(dirty).clusters
    assert folded(clean).trait_errors == folded(dirty).trait_errors
