"""The second shipped example, end to end: dates, lists, booleans and a filter, beside its rules written once more."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from producer import SyncRequest, SyncState, embedded
from producer.embedded import made_up
from producer.result import clusters, document, statistics
from worker.clusters.shipped import shipped
from worker.sandbox import SandboxOptions, SpaceSpec, profiles
from worker.settings import load_settings

SPEC = SpaceSpec(3000, "saas", seed=3)


async def test_the_saas_example_runs_end_to_end_on_its_space_with_the_right_numbers() -> None:
    options = SandboxOptions({"saas": SPEC})
    settings = load_settings(mavera_gap_s=0, mavera_rate=1000, segment_rate=1000)
    async with made_up(settings, options) as demo, embedded.embedded(demo) as client:
        asked = await client.enqueue(SyncRequest(space_id="saas", rules=shipped("saas")))
        done = await client.wait(asked.id, timeout_s=60)
    assert done.state is SyncState.COMPLETED
    assert done.started_at is not None
    aggregate = statistics(done)
    truth, filtered, unclassified = straight(done.started_at)
    assert {cluster.summary.label: cluster.summary.n for cluster in clusters(done, aggregate)} == truth
    assert (aggregate.filtered, aggregate.unclassified) == (filtered, unclassified)
    assert len(done.outcomes) == sum(n >= 3 for n in truth.values())
    assert document(done)["rules"] == "saas"


def straight(as_of: float) -> tuple[dict[str, int], int, int]:
    """The sizes of the clusters, and how many profiles were filtered out, and in none: one profile at a time."""
    sizes: Counter[str] = Counter()
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
            sizes[label] += 1
    labels = [one.label for one in shipped("saas").clusters]
    return {label: sizes[label] for label in labels}, filtered, unclassified


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
