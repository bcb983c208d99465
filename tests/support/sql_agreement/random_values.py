"""Rules with every type of trait, and values of every kind that their traits may have."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from worker.clusters import Rules

RULES = Rules.model_validate(
    {
        "name": "every-type",
        "traits": [
            {"name": "spend", "keys": ["spend", "ltv", "LTV 2"], "type": "number", "missing": 1.5},
            {"name": "risk", "type": "number", "scale": "probability"},
            {"name": "seen", "keys": ["seen", "seen_at"], "type": "date", "max_age_days": 3650.0},
            {"name": "born", "type": "date"},
            {"name": "vip", "type": "boolean"},
            {"name": "tags", "type": "list", "values": ["Café", "a", "unknown", "b"]},
            {"name": "modules", "keys": ["modules", "tags"], "type": "list", "max_age_days": 30.0},
            {"name": "plan", "keys": ["plan", "tier"], "type": "category"},
            {"name": "size", "keys": ["size", "employees"], "type": "category"},
            {"name": "role", "type": "category", "values": ["admin", "n/a", "a-b"]},
        ],
        "filter": {"not": {"all": [{"trait": "vip", "eq": True}, {"trait": "risk", "gt": 0.9}]}},
        "clusters": [
            {"key": "named", "when": {"trait": "plan", "in": ["Café", "unknown"]}},
            {
                "key": "tagged",
                "when": {"any": [{"trait": "modules", "eq": "api"}, {"trait": "tags", "missing": False}]},
            },
            {"key": "rich", "when": {"all": [{"trait": "spend", "gte": 500.0}, {"not": {"trait": "risk", "gt": 0.5}}]}},
            {"key": "fresh", "when": {"trait": "seen", "lt": 30.0}},
            {"key": "admin", "when": {"trait": "role", "eq": "n/a"}},
            {"key": "unseen", "when": {"trait": "seen", "missing": True}},
            {"key": "others"},
        ],
    }
)

signs = st.sampled_from(
    list("aAéK\u0301 9.,:;-/_+\"'<>{}[]()$@#\\\n\t\x0b\x00\x1b\x7f\x9b\u200b\u202e\u2028\u3164\ufe0f")
)
free_text = st.text(signs | st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = [
    *(0, -0.0, 1, 1.0, 2, 0.5, 0.15, 500, 1e15, -1e15, 1e15 + 0.125, 10**15 + 1, 10**400, 1e-40, -1e-39, 2.0**-126),
    *(20260131, 20260131.0, 1706659200, 1706659200123, 1706659200.5, -1, 631152000, 631151999, 7258118400),
]


def listed(*texts: str) -> list[str]:
    return [one for text in texts for one in text.split("|")]


NUMBERS_AS_TEXT = listed(
    "12| 12 |1e3|5.|.5|+3|-0|1,5|1_000|NaN|inf|0x10|１２|1e400|12a|1-2|\x0b7|0.30|1.5|901|20260131|1706659200",
    "1706659200000|1706659200.0|16|1e|--|e|1.2.3",
)
DATES = listed(
    "2026-02-28|2026-02-30|2026-02-28T10:00:00Z|2026-02-28 10:00:00|2026-02-28 10:00:00.5 UTC|1970-01-01|2026-2-8",
    "2026-02-28T10:00:00+00:00|2026-02-28T10:00:00+05:30|1970-01-01T00:00:00Z|1899-12-31|2200-01-01|2200-01-02",
    "Sat, 28 Feb 2026 10:00:00 GMT|2026-02-28T24:00:00|2026-W09|2027-01-01|1950-05-05|2010-01-01T00:00:00.1234567Z",
    "2026-02-28T10:00|28/02/2026|yesterday",
)
WORDS = listed(
    "Café|Cafe\u0301|unknown|Unknown|N/A|n/a|(not set)|a|b|api|SaaS| SaaS|Real  Estate|admin|a-b|not-set",
    "user123|ada@example.com|+49 151 2345678|pro 2024|1,001-5,000|<b>|{{x}}|www.x1|\u00a0| ||ja✓|maybe",
    "t|yes|TRUE| True |off|ON|1|0.0",
    "x" * 81,
)
LISTS = ['["a","api"]', "[]", '["a"', ' ["b"]', "[1]", ["api", "a"], ["a"], ["chat"]]

numeric, numeric_text = st.sampled_from(NUMBERS), st.sampled_from(NUMBERS_AS_TEXT)
dates, words = st.sampled_from(DATES), st.sampled_from(WORDS)
lists = st.lists(words | st.none() | numeric, max_size=3) | st.sampled_from(LISTS)
scalars = free_text | numeric_text | dates | words | st.none() | st.booleans() | numeric | st.integers() | st.floats()
wrapped = st.fixed_dictionaries(
    {
        "value": scalars | lists,
        "updated_at": st.sampled_from(["2026-02-20T00:00:00Z", "2025-02-20T00:00:00Z", None, "x"]),
    }
)
values = scalars | lists | wrapped | st.dictionaries(st.sampled_from(["value", "updated_at", "x"]), scalars, max_size=2)


def traits_of(rules: Rules) -> st.SearchStrategy[dict[str, object]]:
    kinds = {"number": numeric | numeric_text, "date": dates | numeric, "boolean": words | st.booleans() | numeric}
    found: dict[str, st.SearchStrategy[Any]] = {}
    for trait in rules.traits:
        for key in trait.keys:
            usual = kinds.get(trait.type, words if trait.type == "category" else lists)
            found[key] = usual | usual | usual | values
    return st.fixed_dictionaries({}, optional=found)


def entries_of(rules: Rules) -> st.SearchStrategy[list[object]]:
    profile = st.fixed_dictionaries({"traits": traits_of(rules)})
    odd = st.sampled_from(
        [{}, {"traits": None}, {"traits": 5}, {"traits": [1]}, {"traits": "x"}, None, 1, "x", [], [{}]]
    )
    return st.lists(profile | profile | profile | profile | odd, max_size=30)
