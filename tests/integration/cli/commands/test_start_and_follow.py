"""The commands that start, show, follow and cancel syncs, on a real Redis with a worker in this process."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from producer import SyncConflict, SyncNotFound, SyncRequest
from producer.cli.connect import redis_client
from producer.sandbox import Sandbox
from tests.support.scenarios.sync_commands import SyncCommands, settings_of
from tests.support.servers.redis_server import RedisServer
from worker.settings import Settings


@pytest.mark.usefixtures("_worker")
async def test_json_is_one_document_and_an_array_for_several_spaces(runner: SyncCommands) -> None:
    assert await runner.sync("spa_1", json=True) == 0
    one = runner.document
    expected = {
        "status": "completed",
        "profiles_fetched": 60,
        "pages_fetched": 1,
        "complete": True,
        "unclassified": 0,
        "skipped": [{"cluster": "New", "key": "new", "n": 0, "reason": "empty"}],
        "credits_charged": 900,
        "trait_errors": {},
        "profile_errors": 0,
        "profiles_unreadable": 0,
    }
    assert {name: one[name] for name in expected} == expected
    assert isinstance(one["personas"], list)
    assert [(p["cluster"], p["n"], p["avg_ltv"], p["avg_churn"], p["action"]) for p in one["personas"]] == [
        ("High Value", 20, 1200.0, "5%", "created"),
        ("Growth", 20, 450.0, "22%", "created"),
        ("At Risk", 20, 85.0, "65%", "created"),
    ]

    assert await runner.sync("spa_1", "spa_2", json=True) == 0
    first, second = json.loads(runner.out)
    assert [(first["space_id"], first["credits_charged"]), (second["space_id"], second["credits_charged"])] == [
        ("spa_1", 0),  # updated, not bought again
        ("spa_2", 900),
    ]

    assert await runner.listed(json=True) == 0
    assert {sync["sync_id"] for sync in json.loads(runner.out)} == {
        one["sync_id"],
        first["sync_id"],
        second["sync_id"],
    }
    assert await runner.listed(limit=1) == 0
    assert len(runner.out.strip().splitlines()) == 2


OWN_CLUSTERS = """
name = "plans"

[[traits]]
name = "plan"
type = "category"

[[traits]]
name = "spend"
keys = ["ltv"]
type = "number"

[[clusters]]
key = "paying"
label = "Paying Customers"
when = { trait = "plan", in = ["pro", "starter"] }
persona = { type = "B2B", goals = ["grow"] }

[[clusters]]
key = "free"
"""


@pytest.mark.usefixtures("_worker")
async def test_a_sync_uses_the_traits_and_clusters_of_its_file_in_every_job(
    runner: SyncCommands, tmp_path: Path
) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(OWN_CLUSTERS)
    assert await runner.sync("spa_1", json=True, clusters=str(file)) == 0
    personas: Any = runner.document["personas"]
    assert [(p["n"], p["means"]) for p in personas] == [(40, {"spend": 825.0}), (20, {"spend": 85.0})]
    sync_id = runner.document["sync_id"]
    assert isinstance(sync_id, str)
    await runner.status(sync_id)
    assert "│ spend │" in runner.out

    # The recipe's personas of the same space are others.
    assert await runner.sync("spa_1", json=True) == 0
    assert runner.document["credits_charged"] == 900
    assert await runner.sync("spa_1", json=True, clusters=str(file)) == 0
    assert runner.document["credits_charged"] == 0


async def test_a_running_sync_of_other_rules_of_the_same_name_is_another(runner: SyncCommands, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(OWN_CLUSTERS)
    assert await runner.sync("spa_1", wait=False, clusters=str(file)) == 0
    file.write_text(OWN_CLUSTERS.replace('"starter"', '"team"'))
    with pytest.raises(SyncConflict, match="rules: another cluster paying"):
        await runner.sync("spa_1", wait=False, clusters=str(file))


async def test_enqueueing_needs_no_tokens(session_redis: RedisServer, sandbox: Sandbox, runner: SyncCommands) -> None:
    bare = settings_of(session_redis.url, sandbox, segment_token=None, mavera_api_key=None)
    assert await runner.sync("spa_1", settings=bare, wait=False) == 0
    assert runner.out.startswith("syn_")


async def test_no_wait_prints_the_id_and_says_that_no_worker_is_alive(runner: SyncCommands) -> None:
    assert await runner.listed() == 0
    assert runner.out == ""
    assert runner.err.startswith("There are no syncs yet.")
    assert await runner.sync("spa_1", wait=False) == 0
    sync_id = runner.out.strip()
    assert runner.err.startswith("No worker is running, so the sync waits. Start one")
    assert await runner.status(sync_id) == 0
    assert runner.out.splitlines()[:2] == [f"spa_1  {sync_id}  queued", "0 pages, 0 profiles"]
    assert "No worker is running" in runner.err
    assert await runner.status(sync_id, json=True) == 0
    assert (runner.document["status"], runner.document["waiting_for"]) == ("queued", None)
    assert await runner.sync("spa_1", "spa_2", wait=False, json=True) == 0
    assert [document["status"] for document in json.loads(runner.out)] == ["queued", "queued"]


async def test_asked_twice_it_runs_once_and_says_so(runner: SyncCommands) -> None:
    await runner.sync("spa_1", wait=False)
    sync_id = runner.out.strip()
    await runner.sync("spa_1", wait=False)
    assert runner.out.strip() == sync_id
    assert f"spa_1: already requested; following {sync_id} (queued)." in runner.err
    with pytest.raises(SyncConflict, match=r"other options \(max-profiles 5 instead of unset\)"):
        await runner.sync("spa_1", max_profiles=5, wait=False)
    with pytest.raises(SyncConflict, match=r"Already started, and still running: syn_\w+ \(spa_2\)"):
        await runner.sync("spa_2", "spa_1", mode="create", wait=False)
    await runner.sync("spa_1", max_profiles=5, force=True, wait=False)
    assert runner.out.strip() != sync_id


async def test_the_same_idempotency_key_never_starts_a_second_sync(runner: SyncCommands) -> None:
    ids = set()
    for _ in range(2):
        await runner.sync("spa_1", idempotency_key="night", force=True, wait=False)
        ids.add(runner.out)
    assert len(ids) == 1


async def test_a_time_out_ends_the_following_and_prints_what_was_seen(runner: SyncCommands) -> None:
    assert await runner.sync("spa_1", timeout_s=0.05) == 4
    assert runner.out == ""
    assert "Timed out after 0.05 s: no longer following." in runner.err
    assert "To follow again:\n  segment-personas status" in runner.err
    assert await runner.sync("spa_1", "spa_2", timeout_s=0.05, json=True) == 4
    assert [document["status"] for document in json.loads(runner.out)] == ["queued", "queued"]
    assert "When a worker runs, the syncs continue" in runner.err


@pytest.mark.usefixtures("_worker")
async def test_a_running_sync_shows_its_rate_and_clusters_and_can_be_cancelled(runner: SyncCommands) -> None:
    await runner.sync("large", wait=False)
    sync_id = runner.out.strip()
    assert runner.err == ""  # a worker is alive
    while True:
        assert await runner.status(sync_id, json=True) == 0
        if runner.document["pages_fetched"]:
            break
    assert runner.document["clusters"]
    assert await runner.status(sync_id) == 0
    assert "fetching for " in runner.out
    assert "/s\n" in runner.out
    assert "│ High Value │" in runner.out

    for _ in range(2):
        assert await runner.cancel(sync_id) == 0
        assert runner.err.startswith(f"{sync_id} is cancelled.")
    assert await runner.status(sync_id, follow=True) == await runner.status(sync_id) == 3
    assert f"large  {sync_id}  cancelled in " in runner.out
    with pytest.raises(SyncConflict, match="only a failed sync can be resumed"):
        await runner.resume(sync_id)


@pytest.mark.usefixtures("_worker")
async def test_following_a_sync_that_is_cancelled_exits_with_3(runner: SyncCommands, settings: Settings) -> None:
    async with redis_client(settings) as client:
        asked = await client.enqueue(SyncRequest(space_id="large"))
        following = asyncio.create_task(runner.status(asked.id, follow=True, json=True))
        await client.cancel(asked.id)
        assert await following == 3
    assert runner.document["status"] == "cancelled"


async def test_an_unknown_id_is_refused(runner: SyncCommands) -> None:
    for command in (runner.status, runner.cancel, runner.resume):
        with pytest.raises(SyncNotFound, match="No sync syn_x is known"):
            await command("syn_x")


async def test_mode_create_buys_again(runner: SyncCommands, sandbox: Sandbox) -> None:
    for mode, personas in (("create", 3), ("create", 6), ("upsert", 9), ("upsert", 9)):
        assert await runner.sync("spa_1", mode=mode, settings=settings_of(None, sandbox)) == 0
        assert len(sandbox.personas) == personas
