"""What a sample holds: types as a sync would read them, spread, and nothing of a single person."""

from __future__ import annotations

from typing import Any

import pytest

from worker.clusters.suggest.profiling import TraitCandidate, survey_traits

NOW = 1_760_000_000.0
DAY = 86_400


def found(*values: object, key: str = "thing") -> TraitCandidate:
    """The key of a sample in which each profile holds one of `values`."""
    (one,) = survey_traits([{"traits": {key: value}} for value in values], as_of=NOW).keys
    return one


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2.5, 0), "number"),
        (("1", "2.50", 3), "number"),
        ((0, 1, 1), "number"),
        ((True, False), "boolean"),
        (("true", "false", True), "boolean"),
        (("2025-01-01", "2025-06-01T08:00:00Z"), "date"),
        ((1_700_000_000, 1_750_000_000), "date"),
        ((1_700_000_000_000, 1_750_000_000_000), "date"),
        ((["a"], ["a", "b"], ["a"], []), "list"),
        (("pro", "pro", "free", "pro"), "category"),
        (("1", 2, 3, "odd"), "number"),
        (({}, {"a": 1}), None),
        (("pro", 5, True, ["x"]), None),
    ],
)
def test_a_key_has_the_type_as_which_a_sync_could_read_it(values: tuple[object, ...], kind: str | None) -> None:
    assert found(*values).type == kind


def test_values_that_say_when_they_were_set_are_read_too() -> None:
    wrapped = [{"value": plan, "updated_at": "2025-01-01T00:00:00Z"} for plan in ("pro", "pro", "pro")]
    assert (found(*wrapped).type, found(*wrapped).words) == ("category", (("pro", 3),))


def test_keys_with_a_value_are_counted_and_the_most_frequent_come_first() -> None:
    profiles: list[object] = [
        {"traits": {"b": 1, "a": 2, "c": None}},
        {"traits": {"b": 1, "c": " "}},
        {"traits": None},
        {},
        "deleted",
    ]
    seen = survey_traits(profiles, as_of=NOW)
    assert seen.profiles == 4
    assert [(one.key, one.held) for one in seen.keys] == [("b", 2), ("a", 1)]


def test_numbers_and_ages_are_quantiles_to_three_digits_from_30_on() -> None:
    assert found(*range(29)).quantiles == ()
    assert found(*(1000 + 7.77 * i for i in range(101))).quantiles == (1080, 1190, 1390, 1580, 1700)
    assert found(*(NOW - days * DAY for days in range(101))).quantiles == (10, 25, 50, 75, 90)


def test_the_bounds_of_numbers_are_shown_as_shares() -> None:
    one = found(0, 0.5, 1, 50, 100, -1, 200, 0.25)
    assert (one.in_unit, one.in_hundred) == (0.5, 0.75)


def test_words_are_shown_only_if_several_profiles_share_them() -> None:
    assert found(*["pro"] * 5, *["free"] * 3, "secret", "secret").words == (("pro", 5), ("free", 3))
    assert found(*[["a", "b"]] * 3, ["secret"]).words == (("a", 3), ("b", 3))
    assert found(True, True, False).words == (("true", 2),)


@pytest.mark.parametrize(
    "key",
    [
        *("email", "Email", "work_email", "emailAddress", "phone", "PhoneNumber", "first_name", "lastName", "name"),
        *("userName", "user_id", "id", "externalId", "UUID", "billing address", "zip-code", "ip", "dateOfBirth"),
        *("avatar", "customer name", "card_number", "apiToken"),
    ],
)
def test_a_key_that_looks_personal_is_shown_by_its_name_alone(key: str) -> None:
    assert found(*["value"] * 50, key=key) == TraitCandidate(key, None, "personal, by its name", 50)


@pytest.mark.parametrize("key", ["plan", "plan_name", "company_name", "named_accounts", "shipping", "idle_days"])
def test_a_key_that_only_resembles_one_is_looked_at(key: str) -> None:
    assert found(*["value"] * 50, key=key).type == "category"


@pytest.mark.parametrize(
    ("values", "remark"),
    [
        ([f"ada{i}@example.com" for i in range(40)], "personal or too long"),
        ([f"https://example.com/u/{i}" for i in range(40)], "personal or too long"),
        (["x" * 200] * 40, "personal or too long"),
        ([10_000_000 + 7919 * i for i in range(40)], "whole numbers, each in one profile"),
        ([f"Ada Private{chr(97 + i)}" for i in range(20)], "too many different values"),
        ([[f"word{chr(97 + i)}"] for i in range(20)], "too many different values"),
    ],
)
def test_values_that_look_personal_are_not_shown(values: list[object], remark: str) -> None:
    one = found(*values)
    assert one.type is None
    assert remark in one.remark
    assert (one.words, one.quantiles) == ((), ())


@pytest.mark.parametrize(
    ("key", "remark"),
    [("a,b", "characters"), ("x" * 201, "characters"), ("a\x1bb", "characters"), ("電話", "no Latin letters")],
)
def test_a_key_that_cannot_be_asked_for_is_not_usable(key: str, remark: str) -> None:
    one: Any = found(1, 2, key=key)
    assert one.type is None
    assert remark in one.remark
