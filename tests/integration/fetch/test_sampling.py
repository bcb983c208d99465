"""A sample, end to end: the same profiles from every source, and a request only for those."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.sandbox import SpaceSpec, profiles
from producer.sandbox.spaces.space import profile_id
from tests.support.scenarios.checks import same_statistics
from tests.support.scenarios.expected_clusters import expected_clusters
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Aggregate, estimate_clusters, summarise
from worker.segment.sampling import select_sample

pytestmark = pytest.mark.usefixtures("real_pool")

SPEC = SpaceSpec(3000, "wide", seed=2)
SHARE = 0.2


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start, tmp_path: Path) -> AsyncIterator[Scenario]:
    spaces = {"spa": SPEC, "nameless": SpaceSpec(60, "recipe")}
    async with start_scenario(session_redis, start_worker, spaces, settings={"FILES_DIR": str(tmp_path)}) as scenario:
        yield scenario


async def test_a_sample_is_the_same_every_time_and_near_the_truth(scenario: Scenario, tmp_path: Path) -> None:
    rows = [{"id": profile_id(SPEC, i), **row} for i, row in enumerate(profiles(SPEC)) if isinstance(row, dict)]
    (tmp_path / "profiles.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    expected = expected_clusters(select_sample(rows, SHARE).entries)
    scenario.worker(SEGMENT_BASE_URL=scenario.sandbox.profile_api_url)

    api = await scenario.sync(dialect="profile-api", sample=SHARE)
    assert scenario.sandbox.journal.count("segment.traits") == expected.profiles
    assert {cluster.key: cluster.n for cluster in summarise(Aggregate.from_bytes(api.aggregate))} == expected.sizes
    file, again = [await scenario.sync(file="profiles.ndjson", sample=SHARE) for _ in range(2)]
    assert same_statistics(again.aggregate, file.aggregate)
    everyone = expected_clusters(rows)
    for sync in (api, file):
        assert (sync.profiles, sync.complete) == (3000, False)
        aggregate = Aggregate.from_bytes(sync.aggregate)
        assert aggregate.profiles + aggregate.left_out == 3000
        summaries = summarise(aggregate)
        for summary, estimate in zip(summaries, estimate_clusters(aggregate, summaries, RECIPE), strict=True):
            assert estimate.n == pytest.approx(everyone.sizes[summary.key], rel=0.3)
            assert estimate.share is not None
            assert estimate.share.low < summary.share < estimate.share.high


async def test_a_sample_does_not_overwrite_what_everyone_made(scenario: Scenario, tmp_path: Path) -> None:
    rows = [{"id": str(i), **row} for i, row in enumerate(profiles(SPEC)) if isinstance(row, dict)]
    (tmp_path / "profiles.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    scenario.worker()
    await scenario.sync(file="profiles.ndjson")
    before = [dict(persona.fields) for persona in scenario.sandbox.personas]
    part = await scenario.sync(file="profiles.ndjson", sample=SHARE)
    assert {outcome.reason for outcome in part.outcomes} == {"partial"}
    assert [dict(persona.fields) for persona in scenario.sandbox.personas] == before


async def test_without_identifiers_no_sample_is_made_up(scenario: Scenario) -> None:
    scenario.worker()
    failed = await scenario.sync("nameless", sample=0.5)
    assert failed.error
    assert (failed.error.code, failed.error.resumable, failed.pages) == ("no_ids", False, 0)
    assert scenario.sandbox.posts == []
