"""What Mavera dropped of what was sent: found in its answer, and never concluded from an answer that says nothing."""

from __future__ import annotations

from typing import Any

import pytest

from worker.mavera import Persona
from worker.mavera.ignored_fields import find_ignored_fields

SENT = {
    "name": "Segment CDP: Growth",
    "description": "d",
    "demographic": {"industries": ["SaaS"], "plans": []},
    "psychographic": {"cluster": "growth", "avg_ltv": None, "engagement_tier": "low"},
}


def shown(**changes: Any) -> dict[str, Any]:
    """An answer that shows all of it, but for the changes of its details."""
    details = {"demographic": SENT["demographic"], "psychographic": SENT["psychographic"], **changes}
    return {"id": "per_1", "name": SENT["name"], "description": "d", "details": details}


def ignored(answer: dict[str, Any]) -> tuple[str, ...]:
    return find_ignored_fields(SENT, Persona.model_validate(answer))


def test_an_answer_that_shows_everything_has_ignored_nothing() -> None:
    assert ignored(shown()) == ()


def test_fields_may_stand_beside_the_details_too() -> None:
    assert ignored({**shown(demographic=None), "demographic": SENT["demographic"]}) == ()


def test_null_beside_the_details_does_not_hide_what_they_show() -> None:
    assert ignored({**shown(), "demographic": None}) == ()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"demographic": None}, ("demographic",)),
        ({"demographic": {}}, ("demographic.industries",)),
        (
            {"demographic": None, "psychographic": {"cluster": "growth"}},
            ("demographic", "psychographic.engagement_tier"),
        ),
    ],
)
def test_what_is_not_shown_was_ignored(changes: dict[str, Any], names: tuple[str, ...]) -> None:
    assert ignored(shown(**changes)) == names


@pytest.mark.parametrize("name", ["name", "description"])
def test_a_name_or_description_that_is_not_shown_was_ignored(name: str) -> None:
    answer = {key: value for key, value in shown().items() if key != name}
    assert ignored(answer) == (name,)


def test_a_value_that_mavera_writes_in_another_way_was_not_ignored() -> None:
    assert ignored(shown(demographic="SaaS", psychographic={"cluster": 7, "engagement_tier": ["low"]})) == ()


@pytest.mark.parametrize("details", [None, [], "x", 7])
def test_nothing_is_concluded_from_an_answer_without_details(details: object) -> None:
    assert ignored({"id": "per_1", "details": details}) == ()
    assert ignored({"id": "per_1"}) == ()


def test_nothing_is_concluded_from_no_answer() -> None:
    assert find_ignored_fields(SENT, None) == ()


def test_deep_details_do_no_harm() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = {"a": deep}
    assert ignored(shown(demographic=deep)) == ("demographic.industries",)
