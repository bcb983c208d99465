"""A sync that fails says why and what to do, and `resume` continues it."""

from __future__ import annotations

import asyncio

import pytest

from producer import SyncClient, SyncConflict, SyncRequest
from producer.cli.syncs.follow import Follower
from producer.cli.terminal import stderr
from producer.cli.views.progress import LineProgress
from producer.sandbox import Fault, Sandbox
from tests.support.scenarios.sync_commands import SyncCommands, running_worker, settings_of
from tests.support.servers.redis_server import RedisServer


@pytest.mark.usefixtures("_worker")
async def test_an_api_that_fails_is_shown_while_it_is_tried_again(runner: SyncCommands, sandbox: Sandbox) -> None:
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


@pytest.mark.usefixtures("_worker")
async def test_a_failed_sync_is_resumed_where_it_stopped(runner: SyncCommands, sandbox: Sandbox) -> None:
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
async def test_where_going_on_cannot_help_it_says_to_restart(runner: SyncCommands, sandbox: Sandbox) -> None:
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
    runner: SyncCommands, sandbox: Sandbox, space_id: str, changed: dict[str, str], sentences: list[str]
) -> None:
    wrong = settings_of(None, sandbox, **changed)
    assert await runner.sync(space_id, settings=wrong) == 1
    assert all(sentence in runner.out for sentence in sentences), runner.out
    assert "segment-personas resume syn_" in runner.err
    if "mavera_api_key" in changed:
        assert sandbox.journal.answered["segment.page", 200] == 0  # asked before pages are fetched


async def test_a_forbidden_space_names_what_to_check_in_its_order(runner: SyncCommands, sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("segment", "status", status=403))
    assert await runner.sync("spa_1", json=True, settings=settings_of(None, sandbox)) == 1
    error = runner.document["error"]
    assert isinstance(error, dict)
    hint = error["hint"]
    assert hint.index("region") < hint.index("kind of token") < hint.index("Unify")
    assert error["resumable"] is True


async def test_an_empty_space_completes_with_0_profiles_and_creates_nothing(
    runner: SyncCommands, sandbox: Sandbox
) -> None:
    assert await runner.sync("empty", json=True, settings=settings_of(None, sandbox)) == 0
    assert (runner.document["status"], runner.document["profiles_fetched"]) == ("completed", 0)
    assert runner.document["personas"] == []
    assert await runner.sync("empty", settings=settings_of(None, sandbox)) == 0
    assert "│" not in runner.out
    assert sandbox.posts == []


async def test_a_cluster_under_the_least_size_makes_no_persona(runner: SyncCommands, sandbox: Sandbox) -> None:
    assert await runner.sync("spa_1", min_cluster_size=21, embedded=True) == 0
    assert runner.err.startswith("--embedded: the state of syncs is kept in ")
    assert "none: fewer than 21" in runner.out
    assert sandbox.posts == []


async def test_a_redis_that_goes_away_while_following_is_waited_for(
    redis_server: RedisServer, sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(redis_server.url, sandbox)
    async with running_worker(settings), SyncClient(redis_server.url, settings=settings, max_wait_s=0.2) as client:
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
