"""The persona's body, word for word."""

import json

from worker.clusters import Aggregate, ClusterSummary, fold, summarise
from worker.mavera.payload import build
from worker.mavera.reference import Reference, find

REFERENCE = Reference("3f9a2c1d4e", "8b21cc90")
SAMPLE: list[object] = [
    {"traits": {"ltv": 1200, "purchase_count": 8, "churn_risk": 0.05, "plan": "pro", "industry": "SaaS"}},
    {
        "traits": {
            "ltv": 450,
            "purchase_count": 3,
            "churn_risk": 0.22,
            "plan": "starter",
            "industry": "E-commerce",
        }
    },
    {"traits": {"ltv": 85, "purchase_count": 1, "churn_risk": 0.65, "plan": "free", "industry": "Agency"}},
] * 20


def summaries(profiles: list[object]) -> dict[str, ClusterSummary]:
    aggregate = Aggregate()
    fold(aggregate, profiles)
    return {summary.key: summary for summary in summarise(aggregate)}


def test_the_recipes_sample_gives_the_recipes_bodies() -> None:
    found = summaries(SAMPLE)
    assert build(found["high_value"], REFERENCE).as_json() == {
        "name": "Segment CDP: High Value",
        "description": (
            "High Value segment from Segment computed traits. N=20. Avg LTV: $1200. Avg purchases: 8.0. "
            "Avg churn risk: 5%. Industries: SaaS. Plans: pro. [segment-personas 3f9a2c1d4e 8b21cc90]"
        ),
        "demographic": {"industries": ["SaaS"], "plans": ["pro"]},
        "psychographic": {
            "cluster": "high_value",
            "avg_ltv": 1200.0,
            "avg_churn_risk": 0.05,
            "engagement_tier": "high",
        },
    }
    assert build(found["growth"], REFERENCE).as_json() == {
        "name": "Segment CDP: Growth",
        "description": (
            "Growth segment from Segment computed traits. N=20. Avg LTV: $450. Avg purchases: 3.0. "
            "Avg churn risk: 22%. Industries: E-commerce. Plans: starter. "
            "[segment-personas 3f9a2c1d4e 8b21cc90]"
        ),
        "demographic": {"industries": ["E-commerce"], "plans": ["starter"]},
        "psychographic": {
            "cluster": "growth",
            "avg_ltv": 450.0,
            "avg_churn_risk": 0.22,
            "engagement_tier": "medium",
        },
    }
    assert build(found["at_risk"], REFERENCE).as_json() == {
        "name": "Segment CDP: At Risk",
        "description": (
            "At Risk segment from Segment computed traits. N=20. Avg LTV: $85. Avg purchases: 1.0. "
            "Avg churn risk: 65%. Industries: Agency. Plans: free. [segment-personas 3f9a2c1d4e 8b21cc90]"
        ),
        "demographic": {"industries": ["Agency"], "plans": ["free"]},
        "psychographic": {
            "cluster": "at_risk",
            "avg_ltv": 85.0,
            "avg_churn_risk": 0.65,
            "engagement_tier": "low",
        },
    }


def test_what_is_unknown_is_written_as_not_available_and_sent_as_null() -> None:
    summary = summaries([{"traits": {"purchase_count": 2}}])["at_risk"]
    assert build(summary, REFERENCE).as_json() == {
        "name": "Segment CDP: At Risk",
        "description": (
            "At Risk segment from Segment computed traits. N=1. Avg LTV: n/a. Avg purchases: 2.0. "
            "Avg churn risk: n/a. Industries: n/a. Plans: n/a. [segment-personas 3f9a2c1d4e 8b21cc90]"
        ),
        "demographic": {"industries": [], "plans": []},
        "psychographic": {
            "cluster": "at_risk",
            "avg_ltv": None,
            "avg_churn_risk": None,
            "engagement_tier": "unknown",
        },
    }
    unknown = build(summaries([])["new"], REFERENCE)
    assert "N=0. Avg LTV: n/a. Avg purchases: n/a. Avg churn risk: n/a." in unknown.description


def test_numbers_are_rounded_in_the_text_and_raw_in_the_fields() -> None:
    profiles: list[object] = [
        {"traits": {"ltv": 600.5, "purchase_count": 1, "churn_risk": 0.125, "industry": word}}
        for word in ("SaaS", "SaaS", "SaaS", "Retail", "Agency", "Agency", "Agency", "Health")
    ]
    profiles[0] = {"traits": {"ltv": 601.0, "purchase_count": 2, "churn_risk": 0.0, "industry": "SaaS"}}
    payload = build(summaries(profiles)["high_value"], REFERENCE)
    assert payload.description.startswith(
        "High Value segment from Segment computed traits. N=8. Avg LTV: $601. Avg purchases: 1.1. "
        "Avg churn risk: 11%. Industries: Agency, SaaS. Plans: n/a. "
    )
    assert payload.psychographic["avg_ltv"] == 4804.5 / 8
    assert payload.psychographic["avg_churn_risk"] == 0.875 / 8


def test_the_body_is_json_and_carries_its_reference() -> None:
    body = build(summaries(SAMPLE)["growth"], REFERENCE).as_json()
    assert json.loads(json.dumps(body)) == body
    assert find(str(body["description"])) == REFERENCE


def test_a_name_fits_what_mavera_takes() -> None:
    for summary in summaries(SAMPLE).values():
        assert 2 <= len(build(summary, REFERENCE).name) <= 100
