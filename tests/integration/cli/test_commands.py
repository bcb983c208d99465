"""The commands on a real Redis with a worker and the sandbox, all in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from producer import SyncClient, SyncConflict, SyncNotFound, SyncRequest
from producer.cli.commands import syncs
from producer.cli.connect import redis_client
from producer.cli.sync_options import SyncOptions
from producer.cli.syncs.follow import Follower
from producer.cli.terminal import stderr
from producer.cli.views.progress import LineProgress
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from producer.state.server import NoServerProgram
from tests.support.processes.workers import QUICK
from tests.support.servers.redis_server import RedisServer
from worker.jobs.process.worker_process import serve
from worker.settings import Settings, load_settings
from worker.store import StorePool, redis_pool
from worker.store.connection.pool import closing

FOREVER = float("inf")


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """The recipe's space twice, a large slow one, and an empty one; any other space is unknown."""
    spaces = {"spa_1": SpaceSpec(60), "spa_2": SpaceSpec(60), "large": SpaceSpec(1_000_000), "empty": SpaceSpec(0)}
    async with Sandbox(SandboxOptions(spaces, latency_s=0.01)) as box:
        yield box


def settings_of(url: str | None, sandbox: Sandbox, **changes: object) -> Settings:
    quick = {name.lower(): value for name, value in QUICK.items()}
    return load_settings(
        **{
            **quick,
            "redis_url": url,
            "segment_token": "sandbox",
            "segment_base_url": sandbox.segment_url,
            "segment_space_id": None,
            "mavera_api_key": "mvra_test_sandbox",
            "mavera_base_url": sandbox.mavera_url,
            **changes,
        }
    )


@pytest.fixture
def settings(session_redis: RedisServer, real_pool: StorePool, sandbox: Sandbox) -> Settings:
    return settings_of(session_redis.url, sandbox)


@contextlib.asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process."""
    assert settings.redis_url
    async with closing(redis_pool(settings.redis_url.get_secret_value())) as pool:
        ready = asyncio.Event()
        worker = asyncio.create_task(serve(settings, pool, ready=ready.set))
        try:
            await ready.wait()
            yield
        finally:
            worker.cancel()
            await asyncio.wait({worker})


@pytest.fixture
async def _worker(settings: Settings) -> AsyncIterator[None]:
    async with working(settings):
        yield


class CommandRunner:
    """Runs a command and keeps its output: `out` for programs, `err` for people."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys
        self.out = self.err = ""

    async def sync(self, *space_ids: str, settings: Settings | None = None, **options: object) -> int:
        asked = SyncOptions(space_ids, **options)  # type: ignore[arg-type]
        return await self._run(syncs.run_sync(settings or self._settings, stderr(), asked))

    async def status(
        self,
        sync_id: str,
        *,
        json: bool = False,
        follow: bool = False,
        timeout_s: float = FOREVER,
        details: bool = False,
    ) -> int:
        return await self._run(
            syncs.show_status(
                self._settings, stderr(), sync_id, json=json, follow=follow, timeout_s=timeout_s, details=details
            )
        )

    async def listed(self, *, json: bool = False, limit: int = 20) -> int:
        return await self._run(syncs.list_syncs(self._settings, stderr(), json=json, limit=limit))

    async def history(self, space_id: str, *, json: bool = False) -> int:
        return await self._run(
            syncs.show_history(self._settings, stderr(), space_id, collection="users", rules="recipe", json=json)
        )

    async def cancel(self, sync_id: str) -> int:
        return await self._run(syncs.cancel_sync(self._settings, stderr(), sync_id))

    async def resume(
        self,
        sync_id: str,
        *,
        restart: bool = False,
        accept: bool = False,
        max_credits: int | None = None,
        wait: bool = True,
        json: bool = False,
    ) -> int:
        return await self._run(
            syncs.resume_sync(
                self._settings,
                stderr(),
                sync_id,
                restart=restart,
                options=syncs.ContinueOptions(accept, max_credits, wait, json, FOREVER),
            )
        )

    async def apply(self, sync_id: str, *, max_credits: int | None = None, wait: bool = True) -> int:
        return await self._run(
            syncs.apply_plan(
                self._settings,
                stderr(),
                sync_id,
                allow_partial=False,
                options=syncs.ContinueOptions(False, max_credits, wait, False, FOREVER),
            )
        )

    @property
    def document(self) -> dict[str, object]:
        """The one JSON document that was printed."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    async def _run(self, command: Coroutine[Any, Any, int]) -> int:
        code = await command
        self.out, self.err = self._capsys.readouterr()
        return code


@pytest.fixture
def runner(settings: Settings, capsys: pytest.CaptureFixture[str]) -> CommandRunner:
    return CommandRunner(settings, capsys)


@pytest.mark.usefixtures("_worker")
async def test_json_is_one_document_and_an_array_for_several_spaces(runner: CommandRunner) -> None:
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
    runner: CommandRunner, tmp_path: Path
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


async def test_a_running_sync_of_other_rules_of_the_same_name_is_another(runner: CommandRunner, tmp_path: Path) -> None:
    file = tmp_path / "plans.toml"
    file.write_text(OWN_CLUSTERS)
    assert await runner.sync("spa_1", wait=False, clusters=str(file)) == 0
    file.write_text(OWN_CLUSTERS.replace('"starter"', '"team"'))
    with pytest.raises(SyncConflict, match="rules: another cluster paying"):
        await runner.sync("spa_1", wait=False, clusters=str(file))


async def test_enqueueing_needs_no_tokens(session_redis: RedisServer, sandbox: Sandbox, runner: CommandRunner) -> None:
    bare = settings_of(session_redis.url, sandbox, segment_token=None, mavera_api_key=None)
    assert await runner.sync("spa_1", settings=bare, wait=False) == 0
    assert runner.out.startswith("syn_")


async def test_no_wait_prints_the_id_and_says_that_no_worker_is_alive(runner: CommandRunner) -> None:
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


async def test_asked_twice_it_runs_once_and_says_so(runner: CommandRunner) -> None:
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


async def test_the_same_idempotency_key_never_starts_a_second_sync(runner: CommandRunner) -> None:
    ids = set()
    for _ in range(2):
        await runner.sync("spa_1", idempotency_key="night", force=True, wait=False)
        ids.add(runner.out)
    assert len(ids) == 1


async def test_a_time_out_ends_the_following_and_prints_what_was_seen(runner: CommandRunner) -> None:
    assert await runner.sync("spa_1", timeout_s=0.05) == 4
    assert runner.out == ""
    assert "Timed out after 0.05 s: no longer following." in runner.err
    assert "To follow again:\n  segment-personas status" in runner.err
    assert await runner.sync("spa_1", "spa_2", timeout_s=0.05, json=True) == 4
    assert [document["status"] for document in json.loads(runner.out)] == ["queued", "queued"]
    assert "The syncs continue" in runner.err


@pytest.mark.usefixtures("_worker")
async def test_a_running_sync_shows_its_rate_and_clusters_and_can_be_cancelled(runner: CommandRunner) -> None:
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
async def test_following_a_sync_that_is_cancelled_exits_with_3(runner: CommandRunner, settings: Settings) -> None:
    async with redis_client(settings) as client:
        asked = await client.enqueue(SyncRequest(space_id="large"))
        following = asyncio.create_task(runner.status(asked.id, follow=True, json=True))
        await client.cancel(asked.id)
        assert await following == 3
    assert runner.document["status"] == "cancelled"


@pytest.mark.usefixtures("_worker")
async def test_an_api_that_fails_is_shown_while_it_is_tried_again(runner: CommandRunner, sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("segment", "status", status=503))
    await runner.sync("spa_1", wait=False)
    sync_id = runner.out.strip()
    while True:
        await runner.status(sync_id, json=True)
        if note := runner.document["waiting_for"]:
            break
    assert str(note).startswith("Segment, space spa_1, page 1: 503 ")
    sandbox.clear_faults()
    assert await runner.status(sync_id, follow=True) == 0
    assert "trying again" not in runner.out


async def test_an_unknown_id_is_refused(runner: CommandRunner) -> None:
    for command in (runner.status, runner.cancel, runner.resume):
        with pytest.raises(SyncNotFound, match="No sync syn_x is known"):
            await command("syn_x")


@pytest.mark.usefixtures("_worker")
async def test_a_failed_sync_is_resumed_where_it_stopped(runner: CommandRunner, sandbox: Sandbox) -> None:
    sandbox.set_options(credits=300)
    assert await runner.sync("spa_1") == 1
    assert "insufficient_credits: 3 personas would cost 900 credits" in runner.out
    assert sandbox.posts == []
    assert "continue where it stopped:\n  segment-personas resume syn_" in runner.err
    sync_id = runner.err.split()[-1]
    assert await runner.status(sync_id) == 1

    sandbox.set_options(credits=900)
    assert await runner.resume(sync_id, json=True) == 0
    assert runner.document["credits_charged"] == 900
    assert sandbox.journal.answered["segment.page", 200] == 1
    with pytest.raises(SyncConflict, match="completed"):
        await runner.resume(sync_id)


@pytest.mark.usefixtures("_worker")
async def test_where_going_on_cannot_help_it_says_to_restart(runner: CommandRunner, sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("segment", "expired_cursor", times=1))
    assert await runner.sync("large", max_profiles=500) == 1
    assert "cursor_expired" in runner.out
    sync_id = runner.err.split()[-2]
    assert runner.err.endswith(f"segment-personas resume {sync_id} --restart\n")
    with pytest.raises(SyncConflict, match="cannot continue"):
        await runner.resume(sync_id, wait=False)
    assert await runner.resume(sync_id, restart=True, wait=False) == 0
    assert runner.out.strip() == sync_id
    assert await runner.status(sync_id, follow=True) == 0
    assert "500 profiles" in runner.out


@pytest.mark.parametrize(
    ("space_id", "changed", "sentences"),
    [
        ("spa_1", {"segment_token": "wrong"}, ["401 The access token is missing", "Request-Id req_", "SEGMENT_TOKEN"]),
        (
            "unknown",
            {},
            ["404 Space unknown was not found", "Request-Id req_", "SEGMENT_BASE_URL (region and dialect)"],
        ),
        ("spa_1", {"mavera_api_key": "mvra_test_no"}, ["401 The API key is missing or not valid", "MAVERA_API_KEY"]),
    ],
)
async def test_a_wrong_key_or_space_fails_with_the_apis_message_and_what_to_do(
    runner: CommandRunner, sandbox: Sandbox, space_id: str, changed: dict[str, str], sentences: list[str]
) -> None:
    wrong = settings_of(None, sandbox, **changed)
    assert await runner.sync(space_id, settings=wrong) == 1
    assert all(sentence in runner.out for sentence in sentences), runner.out
    assert "segment-personas resume syn_" in runner.err
    if "mavera_api_key" in changed:
        assert sandbox.journal.answered["segment.page", 200] == 0  # asked before pages are fetched


async def test_a_forbidden_space_names_what_to_check_in_its_order(runner: CommandRunner, sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("segment", "status", status=403))
    assert await runner.sync("spa_1", json=True, settings=settings_of(None, sandbox)) == 1
    error = runner.document["error"]
    assert isinstance(error, dict)
    hint = error["hint"]
    assert hint.index("region") < hint.index("kind of token") < hint.index("Unify")
    assert error["resumable"] is True


async def test_an_empty_space_completes_with_0_profiles_and_creates_nothing(
    runner: CommandRunner, sandbox: Sandbox
) -> None:
    assert await runner.sync("empty", json=True, settings=settings_of(None, sandbox)) == 0
    assert (runner.document["status"], runner.document["profiles_fetched"]) == ("completed", 0)
    assert runner.document["personas"] == []
    assert await runner.sync("empty", settings=settings_of(None, sandbox)) == 0
    assert "│" not in runner.out
    assert sandbox.posts == []


async def test_a_cluster_under_the_least_size_makes_no_persona(runner: CommandRunner, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", min_cluster_size=21, embedded=True) == 0
    assert runner.err.startswith("--embedded: the state of syncs is kept in ")
    assert "none: fewer than 21" in runner.out
    assert sandbox.posts == []


@pytest.mark.usefixtures("_worker")
async def test_a_preview_shows_what_would_be_made_and_apply_makes_it(runner: CommandRunner, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", preview=True, json=True) == 0
    preview = runner.document
    assert (preview["personas"], preview["credits_charged"], preview["credits_planned"]) == ([], 0, 900)
    (first, *_) = preview["planned"]  # type: ignore[misc]
    assert {name: first[name] for name in ("cluster", "action", "persona_id", "credits", "changes")} == {
        "cluster": "High Value",
        "action": "create",
        "persona_id": None,
        "credits": 300,
        "changes": [],
    }
    assert first["payload"]["name"] == "Segment CDP: High Value"
    sync_id = str(preview["sync_id"])
    hint = f"To apply it without reading the space again:\n  segment-personas apply {sync_id}\n"
    assert runner.err.endswith(f"Nothing was changed. The plan: create 3 personas for 900 credits. {hint}")
    assert (preview["status"], preview["plan_only"], preview["applied_at"]) == ("planned", True, None)
    assert sandbox.posts == []

    assert await runner.status(sync_id) == 0
    assert re.search(r"│ High Value │ +20 │ .*│ create, 300 credits", runner.out)
    assert "psychographic.avg_ltv" not in runner.out
    assert runner.err.endswith(hint)
    assert await runner.status(sync_id, details=True) == 0
    assert "  + psychographic.avg_ltv: 1200.0" in runner.out

    assert await runner.apply(sync_id) == 0
    assert "3 personas, 900 credits charged." in runner.out
    assert len(sandbox.posts) == 3
    assert await runner.status(sync_id, json=True) == 0
    assert "planned" not in runner.document
    assert (runner.document["status"], runner.document["plan_only"]) == ("completed", False)
    assert runner.document["applied_at"] is not None

    sandbox.personas[0].fields["description"] = "Mine."
    assert await runner.sync("spa_1", preview=True) == 0
    assert "The plan: update 1 persona, leave 2 personas unchanged. To apply it" in runner.err
    assert "description Mine. → High Value segment from" in runner.out


@pytest.mark.usefixtures("_worker")
async def test_a_preview_over_its_budget_says_so_and_how_to_allow_it(runner: CommandRunner, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", preview=True, max_credits=600) == 0
    assert "Nothing was changed: 900 credits are over the budget of 600. To apply it" in runner.err
    (line,) = [line for line in runner.err.splitlines() if "-personas apply" in line]
    command, sync_id, option, budget = line.split()[1:]
    assert (command, option, budget) == ("apply", "--max-credits", "900")
    assert await runner.apply(sync_id, wait=False) == 0
    assert runner.out == f"{sync_id}\n"
    assert await runner.status(sync_id, follow=True) == 1
    assert "over_budget: 3 more personas would cost 900 credits" in runner.out
    assert f"segment-personas resume {sync_id} --max-credits 900" in runner.err
    assert sandbox.posts == []
    assert await runner.resume(sync_id, max_credits=900) == 0
    assert len(sandbox.posts) == 3


@pytest.mark.usefixtures("_worker")
async def test_a_space_has_a_history_and_each_sync_says_what_changed(runner: CommandRunner, sandbox: Sandbox) -> None:
    assert await runner.history("spa_1") == 0
    assert (runner.out, runner.err) == ("", "No complete sync of spa_1 (users, rules recipe) is recorded.\n")
    assert await runner.sync("spa_1", json=True) == 0
    first = runner.document["sync_id"]
    sandbox.set_options(spaces={"spa_1": SpaceSpec(90)})
    assert await runner.sync("spa_1") == 0
    assert f"Compared with {first}, read until" in runner.out
    assert ": 60 → 90 profiles." in runner.out
    assert await runner.history("spa_1", json=True) == 0
    second, *before = json.loads(runner.out)
    assert [one["sync_id"] for one in before] == [first]
    assert (second["profiles"], second["clusters"]["growth"]) == (90, {"n": 30, "share": 0.333333})
    assert await runner.history("spa_1") == 0
    assert " 90 " in runner.out
    assert f" {first} " in runner.out


@pytest.mark.usefixtures("_worker")
async def test_what_a_guard_stops_says_how_to_continue(runner: CommandRunner, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1") == 0
    sandbox.set_options(spaces={"spa_1": SpaceSpec(30)})
    assert await runner.sync("spa_1", preview=True) == 0
    assert "The space has 30 profiles; the last complete sync" in runner.out
    assert runner.err.rstrip().endswith(" --accept")
    stopped = runner.err.split()[-2]
    assert await runner.apply(stopped) == 1
    assert "guard_profiles: The space has 30 profiles" in runner.out
    assert await runner.resume(stopped, accept=True) == 0


@pytest.mark.usefixtures("_worker")
async def test_an_older_plan_is_applied_with_a_warning(runner: CommandRunner) -> None:
    assert await runner.sync("spa_1", preview=True, json=True) == 0
    preview = str(runner.document["sync_id"])
    assert await runner.sync("spa_1", json=True) == 0
    newer = runner.document["sync_id"]
    assert await runner.apply(preview) == 0
    assert f"Note: {preview} is from" in runner.err
    assert f"{newer} has read the space since" in runner.err


async def test_a_preview_without_redis_is_applied_by_a_command_without_redis(
    runner: CommandRunner, sandbox: Sandbox
) -> None:
    assert await runner.sync("spa_1", preview=True, embedded=True) == 0
    assert re.search(r"\n  REDIS_URL= segment-personas apply syn_\w+\n$", runner.err)
    assert sandbox.posts == []


async def test_without_a_server_program_a_preview_is_gone_with_its_command(
    runner: CommandRunner, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.state.server.StateServer._spawn_keeper", Mock(side_effect=NoServerProgram))
    assert await runner.sync("spa_1", preview=True, embedded=True) == 0
    assert "in memory and ends with this command" in runner.err
    assert runner.err.endswith("To read the space again and apply it:\n  REDIS_URL= segment-personas sync spa_1\n")
    assert sandbox.posts == []


async def test_embedded_keeps_its_own_state_also_where_there_is_a_redis(
    runner: CommandRunner, real_pool: StorePool
) -> None:
    before = await real_pool.dbsize()
    assert await runner.sync("spa_1", embedded=True) == 0
    assert await real_pool.dbsize() == before


async def test_embedded_is_over_when_patience_is(runner: CommandRunner) -> None:
    assert await runner.sync("large", embedded=True, timeout_s=0.05) == 4
    assert "Timed out after 0.05 s." in runner.err
    assert re.search(r"\n  REDIS_URL= segment-personas resume syn_\w+\n", runner.err)


async def test_mode_create_buys_again(runner: CommandRunner, sandbox: Sandbox) -> None:
    for mode, personas in (("create", 3), ("create", 6), ("upsert", 9), ("upsert", 9)):
        assert await runner.sync("spa_1", mode=mode, settings=settings_of(None, sandbox)) == 0
        assert len(sandbox.personas) == personas


async def test_a_redis_that_goes_away_while_following_is_waited_for(
    redis_server: RedisServer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(redis_server.url, sandbox)
    async with working(settings), SyncClient(redis_server.url, settings=settings, max_wait_s=0.2) as client:
        asked = await client.enqueue(SyncRequest(space_id="large", max_profiles=5000, min_cluster_size=9999))
        follower = Follower(client, [asked], LineProgress(stderr()))
        following = asyncio.create_task(follower.run())
        redis_server.stop()
        runner = ""
        while "Redis does not answer" not in runner:
            await asyncio.sleep(0.05)
            runner += capsys.readouterr().err
        redis_server.start()
        await following
        runner += capsys.readouterr().err
        assert "Waiting until Redis answers again;" in runner
        assert "Redis answers again." in runner
        assert "completed" in runner
        assert follower.syncs[0].profiles == 5000
