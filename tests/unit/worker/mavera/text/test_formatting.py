"""Rules and values in words."""

from __future__ import annotations

from typing import Any

import pytest

from worker.clusters.rules.builtin import RECIPE
from worker.clusters.rules.rules import Rules
from worker.clusters.rules.trait import Trait
from worker.mavera.text.formatting import describe_condition, describe_trait_definition, format_amount, format_threshold

RULES: dict[str, Any] = {
    "name": "test",
    "traits": [
        {"name": "spend", "type": "number", "scale": "currency", "currency": "EUR"},
        {"name": "usage", "type": "number", "scale": "percentile", "label": "usage percentile"},
        {"name": "plan", "type": "category"},
        {"name": "trial", "type": "boolean"},
        {"name": "joined", "type": "date"},
        {"name": "modules", "type": "list"},
    ],
    "clusters": [{"key": "all"}],
}


def words(condition: dict[str, Any] | None) -> str:
    rules = Rules.model_validate({**RULES, "filter": condition})
    return describe_condition(rules.filter, rules)


def trait(**fields: Any) -> Trait:
    return Trait.model_validate({"name": "spend", "type": "number", **fields})


def test_the_recipe_reads_as_it_is() -> None:
    assert [describe_condition(cluster.when, RECIPE) for cluster in RECIPE.clusters] == [
        "LTV > $500 and churn risk < 15%",
        "LTV > $100 and purchases ≥ 2",
        "churn risk > 40%",
        "everyone else",
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"trait": "spend", "gte": 10, "lt": 1234.5}, "spend ≥ €10 and spend < €1,234.5"),
        ({"trait": "spend", "in": [-1, 2]}, "spend is -€1 or €2"),
        ({"trait": "usage", "gt": 0.8}, "usage percentile > 80th percentile"),
        ({"trait": "plan", "eq": "pro"}, 'plan is "pro"'),
        ({"trait": "plan", "in": ["pro", "team"]}, 'plan is "pro" or "team"'),
        ({"trait": "plan", "missing": True}, "plan is missing"),
        ({"trait": "plan", "missing": False}, "plan is present"),
        ({"trait": "trial", "eq": True}, "trial is yes"),
        ({"trait": "joined", "gte": 1}, "joined at least 1 day ago"),
        ({"trait": "joined", "gt": -90, "lt": 0}, "joined less than 90 days ahead and joined less than 0 days ago"),
        ({"trait": "joined", "lt": 30}, "joined less than 30 days ago"),
        ({"trait": "modules", "eq": "crm"}, 'modules holds "crm"'),
        ({"trait": "modules", "in": ["crm", "chat"]}, 'modules holds "crm" or "chat"'),
        ({"not": {"trait": "trial", "eq": True}}, "not (trial is yes)"),
        (
            {
                "all": [
                    {"any": [{"trait": "trial", "eq": True}, {"trait": "plan", "eq": "x"}]},
                    {"trait": "spend", "gt": 1},
                ]
            },
            '(trial is yes or plan is "x") and spend > €1',
        ),
        ({"any": [{"trait": "spend", "gt": 1, "lt": 9}]}, "(spend > €1 and spend < €9)"),
    ],
)
def test_a_condition_reads_as_a_sentence(condition: dict[str, Any], expected: str) -> None:
    assert words(condition) == expected


@pytest.mark.parametrize(
    ("scale", "value", "rounded", "exact"),
    [
        ({}, 1234.56, "1,234.6", "1,234.56"),
        ({"scale": "currency", "currency": "USD"}, 1234.56, "$1,235", "$1,234.56"),
        ({"scale": "currency", "currency": "USD"}, -0.5, "-$0.50", "-$0.5"),
        ({"scale": "currency", "currency": "CHF"}, 20, "20 CHF", "20 CHF"),
        ({"scale": "probability"}, 0.125, "12%", "12.5%"),
        ({"scale": "percent"}, 12.25, "12%", "12.25%"),
        ({"scale": "percentile"}, 0.815, "82nd percentile", "81.5th percentile"),
        ({"scale": "percentile"}, 0.11, "11th percentile", "11th percentile"),
        ({"scale": "percentile"}, 0.93, "93rd percentile", "93rd percentile"),
        ({"scale": "percentile"}, 0.21, "21st percentile", "21st percentile"),
    ],
)
def test_the_scale_decides_how_a_number_reads(scale: dict[str, str], value: float, rounded: str, exact: str) -> None:
    assert (format_amount(trait(**scale), value), format_threshold(trait(**scale), value)) == (rounded, exact)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "number"),
        ({"scale": "currency", "currency": "CHF", "missing": 5}, "amount in CHF, missing counts as 5 CHF"),
        ({"scale": "percentile"}, "percentile"),
        ({"type": "category", "missing": "free"}, 'category, missing counts as "free"'),
        ({"type": "boolean", "missing": False}, "boolean, missing counts as no"),
        (
            {"type": "date", "missing": 400, "max_age_days": 365},
            "date, missing counts as 400 days, missing if older than 365 days",
        ),
        ({"missing_is_zero": True}, "number, 0 in means if missing"),
    ],
)
def test_a_trait_says_how_it_is_read(fields: dict[str, Any], expected: str) -> None:
    assert describe_trait_definition(trait(**fields)) == expected
