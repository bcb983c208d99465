"""What the doctor concludes: each finding says what to do if there is something to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.cli.commands.doctor.findings import (
    Finding,
    judge_filter,
    judge_rate,
    judge_redis,
    judge_strategy,
    judge_traits,
    measure_coverage,
)
from producer.sandbox import SpaceSpec, profiles
from worker.clusters import RECIPE
from worker.clusters.rules.builtin import load_builtin_rules
from worker.store.connection.health import RedisHealth

NOW = 1_760_000_000.0
GOOD = RedisHealth("7.2.0", "standalone", append_only=True, eviction_policy="noeviction", max_bytes=0)


def verdicts(findings: list[Finding]) -> list[str]:
    return [finding.verdict for finding in findings]


def test_a_redis_as_the_compose_file_runs_it_is_well() -> None:
    assert verdicts(judge_redis(GOOD)) == ["ok", "ok", "ok"]


@pytest.mark.parametrize(
    ("append_only", "policy", "max_bytes", "expected", "advice"),
    [
        (False, "noeviction", 0, ["ok", "warn", "ok"], "appendonly yes"),
        (None, "noeviction", 0, ["ok", "warn", "ok"], "appendonly yes"),
        (True, None, None, ["ok", "ok", "warn"], "noeviction"),
        (True, "allkeys-lru", 0, ["ok", "ok", "warn"], "maxmemory-policy noeviction"),
        (True, "allkeys-lru", 1 << 30, ["ok", "ok", "fail"], "maxmemory-policy noeviction"),
    ],
)
def test_a_redis_that_may_lose_syncs_is_reported_with_the_fix(
    append_only: bool | None, policy: str | None, max_bytes: int | None, expected: list[str], advice: str
) -> None:
    findings = judge_redis(RedisHealth("7.2.0", "standalone", append_only, policy, max_bytes))
    assert verdicts(findings) == expected
    assert advice in " ".join(finding.advice for finding in findings)


def test_a_redis_whose_restarts_cannot_be_seen_causes_a_warning() -> None:
    findings = judge_redis(replace(GOOD, has_run_id=False))
    assert verdicts(findings) == ["ok", "ok", "ok", "warn"]
    assert "INFO" in findings[-1].found


def test_traits_are_counted_as_a_sync_would_read_them() -> None:
    page = [
        {"traits": {"ltv": 5, "churn_risk": 0, "plan": "pro"}},
        {"traits": {"ltv": "", "lifetime_value": "12.5", "churn_risk": 7, "plan": " "}},
        {"traits": {"ltv": "much"}},
        {"traits": None},
        {},
        "no object",
    ]
    found = {trait.name: (trait.usable, trait.unusable) for trait in measure_coverage(page, as_of=NOW)}
    assert found == {
        "ltv": (2, 1),
        "purchase_count": (0, 0),
        "churn_risk": (1, 1),
        "industries": (0, 0),
        "plans": (1, 0),
    }
    findings = judge_traits(measure_coverage(page, as_of=NOW), len(page), "spa_1")
    assert [finding.found for finding in findings] == [
        "ltv or lifetime_value: in 2 of 6 profiles, unusable in 1",
        "purchase_count or order_count: in 0 of 6 profiles",
        "churn_risk or churn_probability: in 1 of 6 profiles, unusable in 1",
        "industry: in 0 of 6 profiles",
        "plan: in 1 of 6 profiles",
    ]
    assert verdicts(findings) == ["ok", "warn", "ok", "warn", "ok"]
    assert all(bool(finding.advice) is (finding.verdict != "ok") for finding in findings)


def test_every_type_of_trait_is_looked_for_and_the_filter_is_tried() -> None:
    rules, page = load_builtin_rules("saas"), list(profiles(SpaceSpec(500, "saas", as_of=NOW)))
    found = measure_coverage(page, rules, as_of=NOW)
    assert {trait.name for trait in found if trait.usable > 450} == {trait.name for trait in rules.traits}
    assert {trait.name for trait in found if not trait.decides} == {"revenue", "expansion", "role", "staff"}
    (finding,) = judge_filter(page, rules, as_of=NOW)
    assert finding.verdict == "ok"
    (finding,) = judge_filter([{"traits": {"is_staff": True, "plan": "pro"}}], rules, as_of=NOW)
    assert (finding.verdict, finding.found) == ("fail", "the filter keeps 0 of 1 profiles")
    assert judge_filter(page, RECIPE, as_of=NOW) == []


def test_a_page_without_any_deciding_trait_is_a_failure() -> None:
    (finding,) = judge_traits(
        measure_coverage([{"traits": {"plan": "pro", "email": "a@b.example"}}], as_of=NOW), 1, "spa_1"
    )
    assert finding.verdict == "fail"
    assert "ltv/lifetime_value, purchase_count/order_count, churn_risk/churn_probability" in finding.found
    assert "Computed Traits" in finding.advice


@pytest.mark.parametrize(
    ("limit", "rate", "verdict", "text"),
    [
        (None, 60, "ok", "does not report its limit"),
        (60, 60, "ok", "tier Starter"),
        (240, 60, "ok", "tier Professional"),
        (60, 120, "warn", "tier Starter"),
        (77, 77, "ok", "77 requests a minute, MAVERA_RATE is 77"),
    ],
)
def test_the_rate_is_held_against_the_tier(limit: int | None, rate: int, verdict: str, text: str) -> None:
    finding = judge_rate(limit, rate)
    assert finding.verdict == verdict
    assert text in finding.found
    assert (f"MAVERA_RATE={limit}" in finding.advice) is (limit is not None and limit != rate)


@pytest.mark.parametrize(
    ("page_s", "listing_s", "rate", "gain"),
    [
        (0.05, 0.01, 1000, "5.0 ×"),
        (0.05, 0.01, 100, "2.5 ×"),  # as much as the rate allows, for every page is asked for twice
        (0.05, 0.01, 40, None),
        (0.05, 0.045, 1000, None),
    ],
)
def test_fan_out_is_advised_where_listing_is_cheap_and_the_rate_leaves_room(
    page_s: float, listing_s: float, rate: float, gain: str | None
) -> None:
    finding = judge_strategy(page_s, listing_s, rate)
    assert finding.verdict == "ok"
    assert ("--strategy fan-out" in finding.advice) is (gain is not None)
    assert (gain or "would not be faster") in finding.found
