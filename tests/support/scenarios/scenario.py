"""A scenario for tests of faults: a sandbox over HTTP, a client, and workers, on the Redis of the test.

Times are those of `workers.QUICK` unless the test says otherwise; client and workers agree on them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from producer import SyncClient, SyncRequest
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.processes.fork_server import ForkServer
from tests.support.processes.workers import QUICK, WorkerProcess, environment
from tests.support.scenarios.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync
from worker.settings import Settings, load_settings
from worker.store import PersonaStore, StorePool, keys, redis_pool
from worker.store.personas.account_name import account_name

Start = Callable[..., WorkerProcess]

RECIPE = SpaceSpec(60, "recipe")
"""Three clusters of twenty, in one page."""

#: For tests that wait until a purchase is no longer in doubt: the shortest that the settings allow.
SOON_SETTLED = {"MAVERA_TIMEOUT_S": "0.5", "MAVERA_SETTLE_S": "2.5"}


@dataclass
class Scenario:
    """What a test of faults uses. settings: of workers and client, as environment variables."""

    redis: RedisServer
    sandbox: Sandbox
    client: SyncClient
    pool: StorePool
    settings: Mapping[str, str]
    start: Start
    workers: list[WorkerProcess] = field(default_factory=list)

    def worker(
        self,
        plan: str = "",
        *,
        ready: bool = True,
        arq: bool = False,
        command: Sequence[str] | None = None,
        fork_server: ForkServer | None = None,
        **settings: str,
    ) -> WorkerProcess:
        """Starts a worker.

        Args:
            plan: How it ends, see `tests.chaos.points`.
            ready: Whether to wait until it takes jobs.
            arq: Whether arq's command line starts it.
            command: The command line that starts it; None: the fork server starts it.
            fork_server: Which one; None: that of the version under test.
            settings: Of this worker only.
        """
        environment = self.environment(**settings)
        worker = self.start(environment, ready=ready, plan=plan, arq=arq, command=command, fork_server=fork_server)
        self.workers.append(worker)
        return worker

    async def listed(self, *workers: WorkerProcess) -> None:
        """Returns once each of `workers` is on the list of the living, and so minds signals."""
        names = {f":{worker.process.pid}" for worker in workers}

        async def all_there() -> bool:
            return names <= {":" + worker.name.rpartition(":")[2] for worker in await self.client.workers()}

        await until(all_there)

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of a worker."""
        return environment(self.redis.url, self.sandbox, **{**self.settings, **settings})

    async def enqueue(self, space: str = "spa", *, force: bool = False, **request: Any) -> Sync:
        """Asks for a sync of `space`."""
        return await self.client.enqueue(SyncRequest(space_id=space, **request), force=force)

    async def sync(self, space: str = "spa", *, force: bool = False, **request: Any) -> Sync:
        """Asks for a sync and returns it when it has ended."""
        return await self.client.wait((await self.enqueue(space, force=force, **request)).id)

    async def ended(self, sync: Sync) -> Sync:
        """The sync when it has ended."""
        return await self.client.wait(sync.id)

    def expected(self, space: str = "spa") -> ExpectedClusters:
        """The clusters of `space`, computed by the independent rules of `expected_clusters`."""
        spec = self.sandbox.options.space(space)
        assert spec
        return expected_clusters(profiles(spec))

    def persona_store(self) -> PersonaStore:
        """The records and claims of the sandbox's account."""
        return PersonaStore(self.pool, self.account)

    @property
    def queue(self) -> str:
        """The queue of the sandbox's account, to which its workers move the jobs that they take."""
        return keys.queue(self.account)

    @property
    def account(self) -> str:
        """The name of the sandbox's account in keys."""
        return account_name(self.sandbox.mavera_url, "mvra_test_sandbox")

    async def assert_bought_once(self, sync: Sync, *, credits_charged: int | None = None) -> None:
        """The sync is exact; each cluster has one persona at Mavera, which is the recorded one, and was paid once.

        credits_charged: what the sync itself has cost, if not all of its personas.
        """
        expected = self.expected(sync.request.space_id)
        assert_exact(sync, expected)
        assert_one_persona_each(self.sandbox, sync, expected)
        assert_no_twins(self.sandbox)
        recorded = {record.persona_id for record in (await self.persona_store().all_records()).values()}
        assert {outcome.persona_id for outcome in sync.outcomes} <= recorded
        paid = 300 * len(sync.outcomes) if credits_charged is None else credits_charged
        assert sync.credits == paid
        assert sum(outcome.credits for outcome in sync.outcomes) == paid

    async def assert_clean(self) -> None:
        """Nothing is left in Redis that should have gone with the last sync's end: no job, no claim, no due time."""

        async def clean() -> bool:
            return await leftovers(self.pool) == []

        # What arq notes of a finished job, and what a woken worker still finishes, is gone a moment later.
        await until(clean)


@contextlib.asynccontextmanager
async def start_scenario(
    redis: RedisServer,
    start: Start,
    spaces: Mapping[str, SpaceSpec] | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    sandbox_type: type[Sandbox] = Sandbox,
    **options: Any,
) -> AsyncIterator[Scenario]:
    """Starts a scenario on an emptied Redis. options: of the sandbox."""
    chosen = {**QUICK, **(settings or {})}
    pool = redis_pool(redis.url, max_wait_s=20)
    try:
        await pool.flushall()
        await know_run(pool)
        async with (
            sandbox_type(SandboxOptions(spaces=spaces or {"spa": RECIPE}, **options)) as sandbox,
            SyncClient(redis.url, settings=client_settings(chosen), max_wait_s=20) as client,
        ):
            yield Scenario(redis, sandbox, client, pool, settings or {}, start)
    finally:
        await pool.aclose()


async def know_run(pool: StorePool) -> None:
    """Lets an emptied Redis pass for one that has always been there, so that no sync waits before buying."""
    run, _ = await pool.server_run()
    await pool.hset(keys.RUN, mapping={"id": run, "at": ""})  # type: ignore[misc]


def client_settings(settings: Mapping[str, str]) -> Settings:
    """A client's settings from the environment of its workers."""
    return load_settings(**{name.lower(): value for name, value in settings.items()})
