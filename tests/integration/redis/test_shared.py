"""Two deployments, and other arq programs, share one Redis: each does its own work."""

from __future__ import annotations

from collections.abc import Callable

import arq
import pytest
from arq.connections import RedisSettings

from producer import SyncClient, SyncRequest
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.workers import QUICK, WorkerProcess, environment
from tests.support.scenarios.checks import until
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import SyncState
from worker.settings import Settings, load_settings
from worker.store import StorePool, keys

Start = Callable[..., WorkerProcess]

SPACES = {f"spa_{number}": SpaceSpec(60, "recipe") for number in range(4)}
SOON = {"MAVERA_TIMEOUT_S": "0.5", "MAVERA_SETTLE_S": "2.5"}


def settings(sandbox: Sandbox | None = None, **more: str) -> Settings:
    """A client's settings; sandbox: whose account it names."""
    named = {"mavera_base_url": sandbox.mavera_url, "mavera_api_key": "mvra_test_sandbox"} if sandbox else {}
    return load_settings(**{name.lower(): value for name, value in {**QUICK, **SOON, **more}.items()}, **named)


def bought(sandbox: Sandbox) -> int:
    return sandbox.journal.count("mavera.create")


@pytest.mark.parametrize("key", [None, "tonight"])
async def test_a_worker_takes_only_the_syncs_of_its_own_account(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start, key: str | None
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces=SPACES)) as prod,
        Sandbox(SandboxOptions(spaces=SPACES)) as staging,
        SyncClient(session_redis.url, settings=settings(prod)) as of_prod,
        SyncClient(session_redis.url, settings=settings(staging)) as of_staging,
    ):
        worker_of_staging = start_worker(environment(session_redis.url, staging, **SOON))
        mine = [
            await of_prod.enqueue(SyncRequest(space_id=space), idempotency_key=key and key + space) for space in SPACES
        ]
        theirs = await of_staging.enqueue(SyncRequest(space_id="spa_0"), idempotency_key=key and key + "spa_0")
        assert theirs.id not in {sync.id for sync in mine}
        ended = await of_staging.wait(theirs.id)
        assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
        assert bought(prod) == 0
        assert {(await of_prod.get(sync.id)).state for sync in mine} == {SyncState.QUEUED}
        assert (len(await of_prod.workers()), len(await of_staging.workers())) == (0, 1)
        # A silent sync of another account is revived into the queue of its own.
        await real_pool.delete(keys.queue((await of_prod.get(mine[0].id)).owner))
        await real_pool.zadd(keys.DUE, {sync.id: 1 for sync in mine})

        async def revived() -> bool:
            return {(await of_prod.get(sync.id)).epoch for sync in mine} == {2}

        await until(revived)
        assert {(await of_prod.get(sync.id)).state for sync in mine} == {SyncState.QUEUED}

        start_worker(environment(session_redis.url, prod, **SOON))
        for sync in mine:
            ended = await of_prod.wait(sync.id)
            assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
        assert (bought(prod), bought(staging)) == (3 * len(SPACES), 3)
        assert "internal_error" not in worker_of_staging.text()


async def test_a_client_without_a_key_leaves_the_account_to_the_first_worker(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(400, "mixed", seed=3)}, page_size=20, latency_s=0.1)) as first,
        Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(400, "mixed", seed=3)})) as second,
        SyncClient(session_redis.url, settings=settings()) as client,
    ):
        worker = start_worker(environment(session_redis.url, first, **SOON))
        sync = await client.enqueue(SyncRequest(space_id="spa"))
        await first.journal.wait_answered("segment.page", 3)
        owner = (await client.get(sync.id)).owner
        assert owner.startswith("test-")
        # The first worker dies; those of another account leave its sync alone.
        worker.kill()
        other = start_worker(environment(session_redis.url, second, **SOON))

        async def revived() -> bool:
            return (await client.get(sync.id)).revivals > 0

        await until(revived)
        assert second.journal.count("segment.page") == 0
        assert bought(second) == 0
        start_worker(environment(session_redis.url, first, **SOON))
        ended = await client.wait(sync.id)
        assert (ended.state, ended.error, ended.owner) == (SyncState.COMPLETED, None, owner)
        assert bought(second) == 0
        assert "Traceback" not in other.text()


async def test_deployments_with_their_own_prefix_do_not_see_each_other(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    prefixes = {"prod": "prod:", "staging": "staging:"}
    async with Sandbox(SandboxOptions(spaces=SPACES)) as sandbox:
        url = session_redis.url
        clients = {
            name: SyncClient(url, settings=settings(sandbox, REDIS_PREFIX=prefix)) for name, prefix in prefixes.items()
        }
        worker = start_worker(environment(url, sandbox, REDIS_PREFIX="staging:", **SOON))
        syncs = {name: await client.enqueue(SyncRequest(space_id="spa_0")) for name, client in clients.items()}
        ended = await clients["staging"].wait(syncs["staging"].id)
        assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
        assert (await clients["prod"].get(syncs["prod"].id)).state is SyncState.QUEUED
        assert [sync.id for sync in await clients["prod"].list()] == [syncs["prod"].id]
        assert await clients["prod"].workers() == []
        assert worker.terminate() == 0
        names = [key async for key in real_pool.scan_iter(count=1000)]
        assert [key for key in names if not key.startswith((b"prod:", b"staging:"))] == [b"sp:run"]  # the fixture's
        start_worker(environment(url, sandbox, REDIS_PREFIX="prod:", **SOON))
        ended = await clients["prod"].wait(syncs["prod"].id)
        assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
        for client in clients.values():
            await client.close()


@pytest.mark.filterwarnings("ignore:Call to deprecated close")  # arq's own
async def test_another_arq_program_on_the_default_queue_is_left_alone(
    session_redis: RedisServer, real_pool: StorePool, start_worker: Start
) -> None:
    done: list[str] = []

    async def theirs(_: object, word: str) -> None:
        done.append(word)

    address = RedisSettings(port=session_redis.port)
    their_pool = await arq.create_pool(address)
    async with (
        Sandbox(SandboxOptions(spaces=SPACES)) as sandbox,
        SyncClient(session_redis.url, settings=settings()) as client,
    ):
        await their_pool.enqueue_job("theirs", "before")
        worker = start_worker(environment(session_redis.url, sandbox, **SOON))
        sync = await client.enqueue(SyncRequest(space_id="spa_0"))
        ended = await client.wait(sync.id)
        assert (ended.state, ended.error) == (SyncState.COMPLETED, None)
        assert await their_pool.zcard("arq:queue") == 1
        waiting = await client.enqueue(SyncRequest(space_id="spa_1"))
        their_worker = arq.Worker(
            [arq.func(theirs, name="theirs")], redis_settings=address, burst=True, handle_signals=False, poll_delay=0.1
        )
        await their_worker.main()
        await their_worker.close()
        assert done == ["before"]
        assert (await client.wait(waiting.id)).state is SyncState.COMPLETED
        assert "Traceback" not in worker.text()
        assert "dropped" not in worker.text()
    await their_pool.aclose()
