"""The synthetic spaces and their cursors: pure, repeatable, and as dirty as promised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.sandbox import SpaceSpec, profile, profiles
from producer.sandbox.cursors import ENDLESS, Place, decode, encode
from producer.sandbox.spaces.space import profile_id, profile_index


def _traits(entries: Iterable[object]) -> list[dict[str, Any]]:
    found = [entry.get("traits") for entry in entries if isinstance(entry, dict)]
    return [traits for traits in found if isinstance(traits, dict)]


def test_the_recipe_space_is_the_recipes_sample() -> None:
    entries = list(profiles(SpaceSpec()))
    assert len(entries) == 60
    assert entries[:3] == [
        {
            "traits": {
                "ltv": 1200,
                "purchase_count": 8,
                "engagement_tier": "high",
                "churn_risk": 0.05,
                "plan": "pro",
                "industry": "SaaS",
            }
        },
        {
            "traits": {
                "ltv": 450,
                "purchase_count": 3,
                "engagement_tier": "medium",
                "churn_risk": 0.22,
                "plan": "starter",
                "industry": "E-commerce",
            }
        },
        {
            "traits": {
                "ltv": 85,
                "purchase_count": 1,
                "engagement_tier": "low",
                "churn_risk": 0.65,
                "plan": "free",
                "industry": "Agency",
            }
        },
    ]
    assert entries == entries[:3] * 20


@pytest.mark.parametrize("kind", ["recipe", "mixed", "wide", "saas"])
def test_a_profile_depends_on_its_spec_and_index_alone(kind: Any) -> None:
    spec = SpaceSpec(500, kind, seed=7)
    backwards = [profile(spec, index) for index in reversed(range(500))]
    assert list(profiles(spec)) == backwards[::-1]


@pytest.mark.parametrize("kind", ["mixed", "wide", "saas"])
def test_another_seed_is_another_space(kind: Any) -> None:
    assert list(profiles(SpaceSpec(50, kind, 1))) != list(profiles(SpaceSpec(50, kind, 2)))


def test_what_is_handed_out_can_be_changed_without_changing_the_space() -> None:
    entry = profile(SpaceSpec(), 0)
    assert isinstance(entry, dict)
    entry["traits"]["ltv"] = -1
    assert profile(SpaceSpec(), 0) != entry


@pytest.mark.parametrize("kind", ["recipe", "mixed", "wide", "saas"])
def test_every_entry_is_strict_json(kind: Any) -> None:
    for entry in profiles(SpaceSpec(5000, kind)):
        text = json.dumps(entry, allow_nan=False)
        assert json.loads(text) == entry


def test_a_mixed_space_holds_every_oddity() -> None:
    entries = list(profiles(SpaceSpec(40_000, "mixed")))
    no_object = [entry for entry in entries if not isinstance(entry, dict)]
    assert {type(entry) for entry in no_object} >= {str, type(None), int}
    assert any(isinstance(entry, dict) and "traits" not in entry for entry in entries)
    assert any(isinstance(entry, dict) and entry.get("traits", 0) is None for entry in entries)

    traits = _traits(entries)
    values: list[Any] = [one.get("ltv") for one in traits]
    texts = {value for value in values if isinstance(value, str)}
    numbers = [value for value in values if type(value) in (int, float)]
    assert {"1_000", "nan", "inf", "abc", "٤٢", ""} <= texts
    assert any(text.replace(".", "").isdecimal() and text.isascii() for text in texts)
    assert {bool, list, dict, type(None)} <= {type(value) for value in values}
    assert 0 in numbers
    assert min(numbers) < 0
    assert any(10**15 < number < 10**30 for number in numbers)
    assert any(len(str(number)) == 400 for number in numbers)

    for second in ("lifetime_value", "order_count", "churn_probability"):
        assert any(second in one for one in traits)
    risks: list[Any] = [one.get("churn_risk") for one in traits]
    assert any(type(risk) in (int, float) and not 0 <= risk <= 1 for risk in risks)
    named = {"ltv", "lifetime_value", "purchase_count", "order_count", "churn_risk", "churn_probability"}
    assert any(not named & set(one) for one in traits)
    assert all({"email", "name", "phone"} <= set(one) for one in traits)


def test_most_numbers_of_a_mixed_space_are_usable() -> None:
    traits = _traits(profiles(SpaceSpec(10_000, "mixed")))
    plain = sum(type(one.get("ltv")) in (int, float) for one in traits)
    assert 0.5 < plain / len(traits) < 0.8


def test_categories_of_a_mixed_space_are_skewed() -> None:
    traits = _traits(profiles(SpaceSpec(20_000, "mixed")))
    for name, distinct in (("industry", 12), ("plan", 5)):
        counted = Counter(one[name] for one in traits if isinstance(one.get(name), str) and one[name])
        assert len(counted) == distinct
        ranked = [number for _, number in counted.most_common()]
        assert ranked[0] > 3 * ranked[-1]


def test_a_wide_profile_has_ten_traits_and_a_page_of_200_about_48_kilobytes() -> None:
    entries = list(profiles(SpaceSpec(200, "wide")))
    assert all(len(one) == 10 for one in _traits(entries))
    assert 46_000 < len(json.dumps(entries, separators=(",", ":"))) < 50_000


def test_a_saas_space_has_staff_visitors_trials_and_every_type_of_trait() -> None:
    spec = SpaceSpec(5000, "saas", as_of=1_700_000_000)
    traits = _traits(profiles(spec))
    visitors = [one for one in traits if "plan" not in one and "email" not in one]
    assert 0.02 < len(visitors) / 5000 < 0.04
    assert 0.015 < sum(one.get("is_staff") is True for one in traits) / 5000 < 0.025
    assert 0.10 < sum(one.get("is_trial") is True for one in traits) / 5000 < 0.14
    assert all(
        set(one["active_modules"]) <= {"tasks", "docs", "chat", "reports", "automation", "api"}
        for one in traits
        if isinstance(one.get("active_modules"), list)
    )
    signed_up = [one.get("signed_up") for one in traits]
    assert {str, int, dict, type(None)} == {type(value) for value in signed_up}
    assert all(value < "2023-11-15" for value in signed_up if isinstance(value, str))
    assert all(min(value, value / 1000) < 1_700_000_000 for value in signed_up if isinstance(value, int))
    assert any(isinstance(one.get("seats"), str) for one in traits)


@pytest.mark.parametrize("wrong", [{"profiles": -1}, {"kind": "clean"}])
def test_a_space_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="space"):
        SpaceSpec(**wrong)


def test_an_identifier_leads_back_to_its_profile_and_no_other() -> None:
    spec = SpaceSpec(1000, "mixed", 3)
    identifiers = [profile_id(spec, index) for index in range(1000)]
    assert len(set(identifiers)) == 1000
    assert [profile_index(spec, identifier) for identifier in identifiers] == list(range(1000))
    assert profile_index(SpaceSpec(10, "mixed", 3), identifiers[10]) is None
    assert profile_index(SpaceSpec(1000, "mixed", 4), identifiers[10]) is None
    assert profile_index(spec, "use_unknown") is None


@given(st.integers(0, 2**40 - 1), st.integers(0, ENDLESS), st.text(max_size=20))
def test_a_cursor_leads_back_to_its_place(start: int, empties: int, scope: str) -> None:
    assert decode(encode(Place(start, empties), scope), scope) == Place(start, empties)


@pytest.mark.parametrize("cursor", ["", "x", "z" * 20, "0" * 19, "-" + "0" * 19, "٤" * 20, "f" * 20])
def test_an_invented_cursor_is_invalid(cursor: str) -> None:
    assert decode(cursor, "spa_1/users") is None


def test_a_cursor_of_another_space_is_invalid() -> None:
    assert decode(encode(Place(200), "spa_1/users"), "spa_2/users") is None
