"""`SPACES_FILE` with a real worker: each space has its token and its Mavera account, and the file may change."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from producer import SyncClient, SyncRequest, SyncState
from producer.cli.commands.personas import list_personas
from producer.cli.terminal import stderr
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.workers import QUICK, WorkerProcess, environment
from tests.support.scenarios.checks import leftovers, until
from tests.support.scenarios.scenario import know_run
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync
from worker.settings import load_settings
from worker.store import StorePool, keys
from worker.store.personas.account_name import account_name

Start = Callable[..., WorkerProcess]

SECRETS = {
    "one": ("segment-token-of-one", "mvra_test_key-of-one"),
    "two": ("segment-token-of-two", "mvra_test_key-of-two"),
}


class Deployment:
    """Two accounts, each with a sandbox, and the spaces file in a directory."""

    def __init__(self, folder: Path, pool: StorePool, sandboxes: dict[str, Sandbox]) -> None:
        self.folder, self.pool, self.sandboxes = folder, pool, sandboxes
        self.path = folder / "spaces.toml"

    def write(self, *spaces: str, key_suffix: str = "", more: str = "") -> None:
        """Writes the file with a table for each of `spaces`, which belongs to the account of the same name."""
        text = more
        for name in spaces:
            token, key = SECRETS[name]
            (self.folder / f"token_{name}").write_text(f"{token}\n")
            (self.folder / f"key_{name}").write_text(f"{key}{key_suffix}\n")
            sandbox = self.sandboxes[name]
            text += f"""
[spaces.{name}]
token_file = "token_{name}"
base_url = "{sandbox.segment_url}"
account = "{name}"
[accounts.{name}]
api_key_file = "key_{name}"
base_url = "{sandbox.mavera_url}"
rate = 60_000
"""
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text)
        temporary.replace(self.path)

    async def records(self, account: str) -> int:
        return int(await self.pool.hlen(keys.personas(account)))  # type: ignore[misc]

    async def limited(self) -> set[str]:
        """The names of the accounts that have a rate limit of their own."""
        found = {key.decode().removeprefix("sp:limit:mavera:") for key in await self.pool.keys("sp:limit:mavera:*")}
        return {name for name in found if not name.endswith(":log")}

    async def everything(self) -> str:
        """All keys and values of Redis, as text."""
        parts: list[object] = []
        for key in await self.pool.keys("*"):
            match (await self.pool.type(key)).decode():
                case "hash":
                    parts += [key, await self.pool.hgetall(key)]  # type: ignore[misc]
                case "string":
                    parts += [key, await self.pool.get(key)]
                case "list":
                    parts += [key, await self.pool.lrange(key, 0, -1)]  # type: ignore[misc]
                case "zset":
                    parts += [key, await self.pool.zrange(key, 0, -1)]
        return repr(parts)


@asynccontextmanager
async def deployment(folder: Path, pool: StorePool) -> AsyncIterator[Deployment]:
    await know_run(pool)
    async with AsyncExitStack() as stack:
        sandboxes = {}
        for name, (token, key) in SECRETS.items():
            options = SandboxOptions({name: SpaceSpec(60, "recipe")}, segment_token=token, mavera_key=key)
            sandboxes[name] = await stack.enter_async_context(Sandbox(options))
        yield Deployment(folder, pool, sandboxes)


async def test_two_spaces_of_two_accounts_with_one_worker(
    session_redis: RedisServer,
    real_pool: StorePool,
    start_worker: Start,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with deployment(tmp_path, real_pool) as here:
        here.write("one")
        settings = {"SPACES_FILE": str(here.path), "LOG_LEVEL": "DEBUG"}
        worker = start_worker(environment(session_redis.url, None, **settings))
        quick = {name.lower(): value for name, value in QUICK.items()}

        async def wait_for(sync: Sync) -> Sync:
            return await client.wait(sync.id)

        async with (
            SyncClient(session_redis.url, settings=load_settings(**quick, spaces_file=here.path)) as client,
            SyncClient(session_redis.url, settings=load_settings(**quick)) as without_file,
        ):
            first = await wait_for(await client.enqueue(SyncRequest(space_id="one")))
            assert first.state is SyncState.COMPLETED, first.error
            assert first.owner == "test.one"

            # A client that knows no account leaves it to the worker, which has no second space yet.
            missing = await wait_for(await without_file.enqueue(SyncRequest(space_id="two")))
            assert missing.error
            assert (missing.error.code, missing.error.resumable) == ("account_not_configured", True)
            assert "SPACES_FILE" in missing.error.hint

            here.write("one", "two")

            async def is_read() -> bool:
                return "2 spaces, 2 accounts" in worker.text()

            await until(is_read)
            second = await wait_for(await without_file.resume(missing.id))
            assert second.state is SyncState.COMPLETED, second.error
            assert second.owner == "test.two"
            for name in SECRETS:
                assert len(here.sandboxes[name].posts) == 3
                assert await here.records(f"test.{name}") == 3
            assert await here.limited() == {"test.one", "test.two"}

            # A rotated key, and a schedule's tick: nothing is bought again.
            for name, (_, key) in SECRETS.items():
                here.sandboxes[name].set_options(mavera_key=f"{key}-rotated")
            here.write("one", "two", key_suffix="-rotated")

            async def is_reread() -> bool:
                return worker.text().count("2 spaces, 2 accounts") == 2

            await until(is_reread)
            schedule = await without_file.schedules.add(SyncRequest(space_id="two"), "0 3 * * *")
            again = await client.schedules.add(SyncRequest(space_id="two"), "0 3 * * *", missed="skip")
            assert (again.id, len(await client.schedules.list())) == (schedule.id, 1)
            await client.schedules.add(SyncRequest(space_id="two"), "0 3 * * *")
            await real_pool.hset(keys.schedule(schedule.id), "next", "60000")  # type: ignore[misc]
            await real_pool.zadd(keys.TICKS, {schedule.id: 60_000})

            async def has_fired() -> bool:
                return bool((await client.schedules.get(schedule.id)).last_sync_id)

            await until(has_fired)
            ticked = await client.wait((await client.schedules.get(schedule.id)).last_sync_id)
            nightly = await wait_for(await client.enqueue(SyncRequest(space_id="one")))
            for sync in (ticked, nightly):
                assert sync.state is SyncState.COMPLETED, sync.error
                assert {outcome.action for outcome in sync.outcomes} <= {"updated", "unchanged"}
                assert sync.credits == 0
            assert ticked.owner == "test.two"
            assert len(await client.persona_records("two")) == 3
            assert [len(sandbox.posts) for sandbox in here.sandboxes.values()] == [3, 3]

            with_redis = load_settings(**quick, spaces_file=here.path, redis_url=session_redis.url)
            await list_personas(with_redis, stderr(), None, json=True)
            assert {row["space_id"] for row in json.loads(capsys.readouterr().out)} == {*SECRETS}

            # A malformed version changes nothing.
            here.path.write_text("[spaces.one\n")

            async def is_refused() -> bool:
                return "stays in use" in worker.text()

            await until(is_refused)
            kept = await wait_for(await without_file.enqueue(SyncRequest(space_id="one")))
            assert kept.state is SyncState.COMPLETED, kept.error

            async def clean() -> bool:
                return await leftovers(real_pool) == []

            await until(clean)
            seen = await here.everything() + worker.text()
            secrets = [secret for pair in SECRETS.values() for secret in pair]
            assert [secret for secret in secrets if secret in seen] == []
            assert "line 1: this is not TOML" in worker.text()


async def test_a_deployment_that_begins_to_use_the_file_keeps_its_records(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start, tmp_path: Path
) -> None:
    async with deployment(tmp_path, real_pool) as here:
        token, key = SECRETS["one"]
        sandbox = here.sandboxes["one"]
        before = {"SEGMENT_TOKEN": token, "MAVERA_API_KEY": key, "MAVERA_BASE_URL": sandbox.mavera_url}
        settings = environment(session_redis.url, sandbox, **before)
        old = load_settings(
            mavera_api_key=key, mavera_base_url=sandbox.mavera_url, heartbeat_s=0.5, stall_s=2, retention_days=1
        )
        worker = start_worker(settings)
        async with SyncClient(session_redis.url, settings=old) as client:
            first = await client.wait((await client.enqueue(SyncRequest(space_id="one"))).id)
            assert first.state is SyncState.COMPLETED, first.error
            worker.terminate()
            waiting = await client.enqueue(SyncRequest(space_id="one"))  # of the account of MAVERA_API_KEY

            here.write("one")
            start_worker(environment(session_redis.url, None, SPACES_FILE=str(here.path)))
            for sync in (await client.wait(waiting.id), await client.wait((await _with_file(here, session_redis)).id)):
                assert sync.state is SyncState.COMPLETED, sync.error
                assert sync.credits == 0
        former = account_name(sandbox.mavera_url, key)
        assert (await here.records("test.one"), await here.records(former)) == (3, 0)
        assert len(sandbox.posts) == 3


async def _with_file(here: Deployment, redis: RedisServer) -> Sync:
    settings = load_settings(heartbeat_s=0.5, stall_s=2, retention_days=1, spaces_file=here.path)
    async with SyncClient(redis.url, settings=settings) as client:
        return await client.enqueue(SyncRequest(space_id="one"), force=True)
