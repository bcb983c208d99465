"""Users of Redis and Valkey with few rights: what the docs list suffices; what is missing is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import worker.store
from producer import SyncClient, SyncRequest
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import cli
from tests.support.processes.workers import QUICK, WorkerProcess, environment
from tests.support.scenarios.checks import until
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import WebServer, answer, serving
from tests.support.servers.webhook_receiver import SECRET, verified_events
from worker.errors import StoreUnusable
from worker.models.sync import SyncState
from worker.settings import load_settings
from worker.store import redis_pool
from worker.store.connection.pool import closing
from worker.store.probe import check_store
from worker.store.transfer.copier import read_copy, write_copy
from worker.store.transfer.state_copy import StateCopy

DEPLOYMENT = (Path(__file__).parents[3] / "docs" / "deployment.md").read_text()
(DOCUMENTED,) = re.findall(r"^ACL SETUSER segment on >SECRET (.*?)\n```", DEPLOYMENT, re.MULTILINE | re.DOTALL)
MINIMAL = " ".join(DOCUMENTED.replace("\\", " ").split())
LUA = Path(worker.store.__file__).parent / "lua"
(OF_MOVES,) = re.findall(r"Export and import also need the rights `(.*?)`", DEPLOYMENT)
MANAGED = "+@all -@dangerous -@admin ~*"

Start = Callable[..., WorkerProcess]


async def sync_through(url: str, start_worker: Start, **settings: str) -> None:
    """A sync, its preview's plan applied, and a resumed one, all with the rights of the URL's user."""
    spaces = {"spa": SpaceSpec(60, "recipe"), "wide": SpaceSpec(900, "wide")}
    quick = {"MAVERA_TIMEOUT_S": "0.5", "MAVERA_SETTLE_S": "2.5", **settings}
    async with Sandbox(SandboxOptions(spaces=spaces)) as sandbox, serving(answer(200)) as receiver:
        webhooks = {"WEBHOOK_URL": receiver.url, "WEBHOOK_SECRET": SECRET}
        worker = start_worker(environment(url, sandbox, **quick, **webhooks))
        chosen = {name.lower(): value for name, value in {**QUICK, **quick}.items()}
        async with SyncClient(url, settings=load_settings(**chosen), max_wait_s=20) as client:
            sync = await client.enqueue(SyncRequest(space_id="spa"), idempotency_key="tonight")
            again = await client.enqueue(SyncRequest(space_id="spa"), idempotency_key="tonight")
            assert again.id == sync.id
            ended = await client.wait(sync.id)
            assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
            preview = await client.enqueue(SyncRequest(space_id="wide", strategy="fan-out", plan_only=True))
            await client.wait(preview.id)
            applied = await client.apply(preview.id)
            ended = await client.wait(applied.id)
            assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
            other = await client.enqueue(SyncRequest(space_id="spa"), force=True)
            await client.cancel(other.id)
            assert await client.list()
            added = await client.schedules.add(SyncRequest(space_id="spa"), "0 3 1 1 *", alert_after_s=3600)
            assert [one.id for one in await client.schedules.list()] == [added.id]
            await client.schedules.pause(added.id)
            await client.schedules.unpause(added.id)
            await client.schedules.remove(added.id)
            assert await client.workers()
            assert (await client.report()).census.last_complete.keys() >= {"spa"}
        await until(lambda: _arrived(receiver, {"sync.completed", "plan.ready", "sync.cancelled"}))
        assert worker.terminate() == 0
        assert "Traceback" not in worker.text()
        assert "internal_error" not in worker.text()


async def _arrived(receiver: WebServer, types: set[str]) -> bool:
    return {event["type"] for event in verified_events(receiver)} >= types


def test_rights_and_probe_name_every_command_of_the_scripts() -> None:
    """Some run only on old data, so that no short sync meets them."""
    texts = [path.read_text() for path in LUA.rglob("*.lua")]
    called = {name.lower() for text in texts for name in re.findall(r"redis\.p?call\('(\w+)'", text)}
    assert {f"+{command}" for command in called} <= set(MINIMAL.split())
    tried = re.findall(r"\{ '([A-Z]+)'", (LUA / "connection" / "probe.lua").read_text())
    assert called <= {command.lower() for command in tried}


async def test_the_documented_rights_suffice(server_of_any_kind: RedisServer, start_worker: Start) -> None:
    assert "~sp:*" in MINIMAL
    await sync_through(server_of_any_kind.user(MINIMAL), start_worker)


async def test_the_documented_rights_with_a_prefix_suffice(
    server_of_any_kind: RedisServer, start_worker: Start
) -> None:
    url = server_of_any_kind.user(re.sub(r"~\S+", "", MINIMAL) + " ~prod:*")
    await sync_through(url, start_worker, REDIS_PREFIX="prod:")


async def test_the_documented_rights_for_a_move_suffice(server_of_any_kind: RedisServer) -> None:
    copy = StateCopy({("live-0", "x"): "{}"}, {("live-0", "y"): {"by": "a", "at": "0"}}, {"z": ("{}",)})
    url = server_of_any_kind.user(f"{MINIMAL} {OF_MOVES}")
    async with closing(redis_pool(url, max_wait_s=5)) as pool:
        assert (await write_copy(pool, copy)).changes == copy
        assert await read_copy(pool) == copy
    async with closing(redis_pool(server_of_any_kind.user(MINIMAL), max_wait_s=5)) as pool:
        with pytest.raises(StoreUnusable, match=r"watch|WATCH"):
            await read_copy(pool)


async def test_a_managed_server_without_info_is_worked_with(
    server_of_any_kind: RedisServer, start_worker: Start
) -> None:
    await sync_through(server_of_any_kind.user(MANAGED), start_worker)


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ("~* +@all -zadd -hset", "HSET, ZADD"),
        ("~sp:* +@all", "arq:job:*"),
        ("~arq:* +@all", "sp:sync:*"),
        ("~* +@all -@scripting", "evalsha"),
        ("~* +@all -@blocking", "blpop"),
        ("~* +@all -multi", "MULTI"),
        ("~* +@all -hgetall", "HGETALL"),
    ],
)
async def test_a_missing_right_is_named(server_of_any_kind: RedisServer, rule: str, named: str) -> None:
    async with closing(redis_pool(server_of_any_kind.user(rule), max_wait_s=2)) as pool:
        with pytest.raises(StoreUnusable, match=re.escape(named)):
            await check_store(pool)


async def test_doctor_and_worker_stop_with_the_missing_right(
    server_of_any_kind: RedisServer, start_worker: Start
) -> None:
    url = server_of_any_kind.user("~* +@all -zadd")
    async with Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(60, "recipe")})) as sandbox:
        worker = start_worker(environment(url, sandbox), ready=False, command=None)
        assert worker.process.wait() == 2
        done = await cli("doctor", "spa", env=environment(url, sandbox))
    for said in (worker.text(), done.out):
        assert "ZADD" in said
        assert "Traceback" not in said
    assert done.code == 1


async def test_the_server_is_named_as_it_is(server_of_any_kind: RedisServer) -> None:
    async with closing(redis_pool(server_of_any_kind.url, max_wait_s=2)) as pool:
        health = await check_store(pool)
        assert await pool.keys("*") == []
    name = {"redis": "Redis", "valkey": "Valkey"}[server_of_any_kind.kind]
    with server_of_any_kind.client() as client:
        info = client.info("server")
    assert health.server == f"{name} {info.get('valkey_version', info['redis_version'])}"
    assert (health.mode, health.role, health.append_only, health.has_run_id) == ("standalone", "master", True, True)
