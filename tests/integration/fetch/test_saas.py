"""The second shipped example, end to end: dates, lists, booleans and a filter, beside its rules written once more."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from math import log, pi, sqrt
from statistics import fmean, stdev, variance
from typing import Any

import pytest

from producer import SyncRequest, SyncState, embedded
from producer.embedded import sandbox_settings
from producer.sandbox import SandboxOptions, SpaceSpec, profiles
from worker.clusters.analysis.distinguishing_traits import ShareContrast
from worker.clusters.analysis.summary import CategorySummary, NumberSummary
from worker.clusters.rules.builtin import load_builtin_rules
from worker.documents.sync_document import sync_document
from worker.documents.sync_results import cluster_results, sync_statistics
from worker.settings import load_settings

SPEC = SpaceSpec(3000, "saas", seed=3, as_of=time.time())
"""Its dates lie before now, as ages are taken at the start of the sync: of old ones all would be drifting away."""


async def test_the_saas_example_runs_end_to_end_on_its_space_with_the_right_numbers() -> None:
    options = SandboxOptions({"saas": SPEC})
    settings = load_settings(mavera_gap_s=0, mavera_rate=1000, segment_rate=1000)
    async with sandbox_settings(settings, options) as demo, embedded.embedded_client(demo) as client:
        asked = await client.enqueue(SyncRequest(space_id="saas", rules=load_builtin_rules("saas")))
        done = await client.wait(asked.id)
    assert done.state is SyncState.COMPLETED
    assert done.started_at is not None
    aggregate = sync_statistics(done)
    truth, filtered, unclassified = straight(done.started_at)
    summaries = {cluster.summary.label: cluster.summary for cluster in cluster_results(done, aggregate)}
    assert {label: summary.n for label, summary in summaries.items()} == {label: len(of) for label, of in truth.items()}
    assert (aggregate.filtered, aggregate.unclassified) == (filtered, unclassified)
    assert len(done.outcomes) == sum(len(of) >= 3 for of in truth.values())
    assert sync_document(done)["rules"] == "saas"

    everyone = sum(map(len, truth.values()))
    for label, summary in summaries.items():
        inside = truth[label]
        rest = [profile for other, of in truth.items() if other != label for profile in of]
        assert summary.share == pytest.approx(len(inside) / everyone)
        assert summary.numbers.keys() == NUMBERS
        assert summary.dates.keys() == DATES
        for name, found in {**summary.numbers, **summary.dates}.items():
            assert_described(found, [profile[name] for profile in inside], is_zero=name == "revenue")
        for name, category in summary.categories.items():
            assert_top(category, [profile[name] for profile in inside])
        for name, boolean in summary.booleans.items():
            known = [profile[name] for profile in inside if profile[name] is not None]
            assert (boolean.coverage, boolean.share) == (len(known), pytest.approx(fmean(known)))
        apart = [(one.trait, getattr(one, "value", None)) for one in summary.contrasts]
        expected = sets_apart(inside, rest)
        assert apart == list(expected), label
        for one in summary.contrasts:
            shown = (one.share if isinstance(one, ShareContrast) else one.mean, one.rest, one.effect)
            assert shown == pytest.approx(expected[one.trait, getattr(one, "value", None)])
    # Much is said, so that much was compared.
    assert sum(len(summary.contrasts) for summary in summaries.values()) >= len(summaries)
    assert min(len(of) for of in truth.values()) >= 30


NUMBERS = {"adoption", "seats", "revenue", "expansion"}
DATES = {"signed_up", "last_active"}

Profile = dict[str, Any]
"""What the rules read of one, by their names; None where it is missing."""


def assert_described(found: NumberSummary, values: list[float | None], *, is_zero: bool) -> None:
    """A number, or an age in days; `is_zero`: a missing one counts as 0."""
    known = sorted(value for value in values if value is not None)
    assert found.coverage == len(known)
    if is_zero:
        known = sorted([*known, *[0.0] * (len(values) - len(known))])
    assert (found.mean, found.std) == pytest.approx((fmean(known), stdev(known)), rel=1e-9)
    for share, percentile in ((0.1, found.p10), (0.5, found.median), (0.9, found.p90)):
        assert percentile == pytest.approx(known[int(share * (len(known) - 1))], rel=0.01)


def assert_top(found: CategorySummary, values: list[Any]) -> None:
    """A category, or a list of them."""
    known = [value if isinstance(value, list) else [value] for value in values if value is not None]
    counts = Counter(value for values in known for value in set(values))
    top = sorted(((value, n) for value, n in counts.items() if n >= 3), key=lambda item: (-item[1], item[0]))[:3]
    assert found.coverage == len(known)
    assert [(one.value, one.count) for one in found.top] == top
    assert [one.share for one in found.top] == pytest.approx([n / len(known) for _, n in top])


def sets_apart(inside: list[Profile], rest: list[Profile]) -> dict[tuple[str, str | None], tuple[float, float, float]]:
    """By the traits that no rule compares: what is inside, outside, and the difference in standard deviations."""
    found: dict[tuple[str, str | None], tuple[float, float, float]] = {}
    for name in ("revenue", "expansion"):
        a, b = (
            [profile[name] or 0.0 for profile in of if name == "revenue" or profile[name] is not None]
            for of in (inside, rest)
        )
        pooled = sqrt((variance(a) * (len(a) - 1) + variance(b) * (len(b) - 1)) / (len(a) + len(b) - 2))
        effect = (fmean(a) - fmean(b)) / pooled
        if abs(effect) >= max(0.2, 3 * sqrt(1 / len(a) + 1 / len(b))):
            found[name, None] = (fmean(a), fmean(b), effect)
    roles = [[profile["role"] for profile in of if profile["role"] is not None] for of in (inside, rest)]
    for role in set(roles[0]):
        (yes, no), (others, none) = ((of.count(role), len(of) - of.count(role)) for of in roles)
        odds = log((yes + 0.5) / (no + 0.5) / ((others + 0.5) / (none + 0.5)))
        error = sqrt(1 / (yes + 0.5) + 1 / (no + 0.5) + 1 / (others + 0.5) + 1 / (none + 0.5))
        effect = odds * sqrt(3) / pi
        if yes >= 3 and effect >= 0.2 and odds >= 3 * error:
            found["role", role] = (yes / len(roles[0]), others / len(roles[1]), effect)
    return dict(sorted(found.items(), key=lambda item: -abs(item[1][2])))


def straight(as_of: float) -> tuple[dict[str, list[Profile]], int, int]:
    """Who is in which cluster, and how many profiles were filtered out, and in none: one profile at a time."""
    groups: dict[str, list[Profile]] = {one.label: [] for one in load_builtin_rules("saas").clusters}
    filtered = unclassified = 0
    for entry in profiles(SPEC):
        assert isinstance(entry, dict)
        traits = entry["traits"]
        if traits.get("is_staff") is True or not isinstance(traits.get("plan"), str):
            filtered += 1
            continue
        label = cluster(traits, as_of)
        if label is None:
            unclassified += 1
        else:
            groups[label].append(read(traits, as_of))
    return groups, filtered, unclassified


def read(traits: dict[str, Any], as_of: float) -> Profile:
    def of_type(key: str, kind: type) -> Any:
        return traits[key] if isinstance(traits.get(key), kind) else None

    return {
        "adoption": number(traits.get("feature_adoption")),
        "seats": number(traits.get("seats")),
        "revenue": number(traits.get("mrr")),
        "expansion": number(traits.get("expansion")),
        "signed_up": age(traits.get("signed_up"), as_of),
        "last_active": age(traits.get("last_active"), as_of),
        "plan": of_type("plan", str),
        "role": of_type("role", str),
        "modules": of_type("active_modules", list),
        "trial": of_type("is_trial", bool),
        "staff": of_type("is_staff", bool),
    }


def cluster(traits: dict[str, Any], as_of: float) -> str | None:
    """The rules of `saas.toml`, as somebody would write them in Python."""
    adoption, seats = number(traits.get("feature_adoption")), number(traits.get("seats"))
    signed_up, active = age(traits.get("signed_up"), as_of), age(traits.get("last_active"), as_of)
    modules = traits.get("active_modules") if isinstance(traits.get("active_modules"), list) else None
    if traits.get("is_trial") is True:
        return "Evaluating"
    if adoption is not None and adoption >= 60 and active is not None and active < 14:
        return "Champions"
    many = (1 if seats is None else seats) >= 10
    if many and (traits["plan"] in ("business", "enterprise") or "automation" in (modules or [])):
        return "Growing Teams"
    if signed_up is not None and signed_up < 90:
        return "Getting Started"
    if (active is not None and active >= 45) or (adoption is not None and adoption < 10):
        return "Drifting Away"
    return "Steady Users"


def number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float | str) else None


def age(value: object, as_of: float) -> float | None:
    """Days since a date, however it is written."""
    if isinstance(value, str):
        moment = datetime.fromisoformat(value)
        assert moment.tzinfo is UTC or moment.utcoffset() is not None
        seconds = moment.timestamp()
    elif isinstance(value, int):
        seconds = value / 1000 if value > 1e11 else value
    else:
        return None
    return (as_of - seconds) / 86_400
