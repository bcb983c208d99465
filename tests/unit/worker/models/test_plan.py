"""A plan as data: what it costs, what it would change, and that it comes out of Redis as it went in."""

from __future__ import annotations

from typing import Any

import pytest

from worker.models.plan import Change, Plan, PlannedPersona

PAYLOAD = {
    "name": "Segment CDP: New",
    "demographic": {"plans": ["pro"]},
    "psychographic": {"avg_ltv": 12.5, "tier": None},
}


def persona(action: Any = "update", current: Any = None, **changes: Any) -> PlannedPersona:
    known = {"persona_id": "per_1", "credits": 0} if action == "update" else {"persona_id": None, "credits": 300}
    fields = {"cluster": "new", "action": action, "reason": "because", "payload": PAYLOAD, "current": current}
    return PlannedPersona(**{**fields, **known, **changes})


def test_what_is_the_same_at_mavera_would_not_change() -> None:
    assert persona(current=PAYLOAD).changes == ()


def test_each_field_that_differs_is_named_with_what_it_is_and_would_be() -> None:
    current = {"name": "Mine", "demographic": {"plans": ["pro"], "note": "kept"}, "psychographic": {"avg_ltv": 10}}
    assert persona(current=current).changes == (
        Change("name", "Mine", "Segment CDP: New"),
        Change("psychographic.avg_ltv", 10, 12.5),
    )


@pytest.mark.parametrize("current", [None, {}, {"name": None, "demographic": None, "psychographic": None}])
def test_of_a_persona_that_shows_nothing_every_field_would_change(current: object) -> None:
    assert persona(current=current).changes == (
        Change("name", None, "Segment CDP: New"),
        Change("demographic.plans", None, ["pro"]),
        Change("psychographic.avg_ltv", None, 12.5),
    )


def test_a_field_that_is_not_an_object_is_replaced_as_a_whole() -> None:
    assert persona(current={**PAYLOAD, "demographic": "old"}).changes == (
        Change("demographic", "old", {"plans": ["pro"]}),
    )


def test_a_plan_costs_what_its_creations_cost() -> None:
    plan = Plan(personas=(persona("create"), persona("update"), persona("create")))
    assert (plan.credits, plan.over_budget) == (600, False)


@pytest.mark.parametrize(("budget", "over"), [(None, False), (600, False), (599, True), (0, True)])
def test_a_plan_is_over_budget_if_it_costs_more(budget: int | None, over: bool) -> None:
    assert Plan(personas=(persona("create"), persona("create")), max_credits=budget).over_budget is over


def test_a_plan_is_remembered_whole() -> None:
    plan = Plan(personas=(persona("create"), persona("update", current={"name": "Mine"})), max_credits=900)
    assert Plan.decode(plan.encode()) == plan


def test_no_plan_is_none() -> None:
    assert Plan.decode("") is None
