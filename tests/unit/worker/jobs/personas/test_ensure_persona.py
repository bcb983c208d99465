"""A purchase with slow connections, lost deadlines, doubtful claims and clocks that step: it ends, and buys once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.clocks.fake_time import FakeTime, client_of, services_for
from worker.errors import LeaseLost
from worker.jobs.composition.tasks import finalize, walk
from worker.jobs.job_payloads import sync_payload
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.store import PersonaStore, StorePool, keys

REQUEST = SyncRequest(space_id="spa")
CLUSTERS = ("high_value", "growth", "at_risk")


class SlowConnector(aiohttp.TCPConnector):
    """Each request opens a connection, which takes a while in fake time, and may then be too late."""

    def __init__(self, time: FakeTime, takes_s: Callable[[str], float], longest_s: float) -> None:
        super().__init__(force_close=True)
        self.opened = 0
        self._time = time
        self._takes_s = takes_s
        self._longest_s = longest_s

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        self.opened += 1
        takes_s = self._takes_s(req.method)
        self._time.now += min(takes_s, self._longest_s)
        if takes_s > self._longest_s:
            raise aiohttp.ConnectionTimeoutError
        return await super().connect(req, traces, timeout)


class EnsureScenario:
    """The sync s1 of a small space, played by hand in fake time."""

    def __init__(self, sandbox: Sandbox, services: WorkerServices, time: FakeTime) -> None:
        self.sandbox = sandbox
        self.services = services
        self.time = time

    async def read(self, **options: Any) -> None:
        """The sync is created and has read its space."""
        request = SyncRequest.model_validate({"space_id": "spa", **options})
        await client_of(self.services).create("s1", request, sync_payload("s1", "walk", 1))
        await walk({"worker": self.services}, "s1", 1)

    async def finish(self) -> Sync:
        """Runs finalizers until the sync has ended."""
        for _ in range(100):
            sync = await self.services.syncs.get("s1")
            assert sync
            if sync.state.is_final:
                return sync
            await finalize({"worker": self.services}, "s1", sync.epoch)
            self.time.now += 5
        raise AssertionError("the sync does not end")

    async def claim(self, cluster: str, sync_id: str = "elsewhere", **fields: object) -> str:
        """Makes an open claim of a process that has ended. Returns its reference."""
        reference = str(cluster_reference(REQUEST, "", cluster))
        key = keys.claim(_account(self.services), reference)
        now = round(await self.services.personas.now() * 1000)
        await self.services.pool.hset(key, mapping={"by": "gone", "sync": sync_id, "at": now, **fields})  # type: ignore[misc, dict-item]
        return reference

    async def assert_no_claim(self) -> None:
        for cluster in CLUSTERS:
            assert await self.services.personas.find_claim(str(cluster_reference(REQUEST, "", cluster))) is None


def _account(services: WorkerServices) -> str:
    return str(services.personas._account)


@asynccontextmanager
async def open_scenario(
    pool: StorePool, *, takes_s: Callable[[str], float] = lambda _: 0.0, settings: dict[str, object] | None = None
) -> AsyncIterator[EnsureScenario]:
    time = FakeTime(pool)
    connector = SlowConnector(time, takes_s, longest_s=10)
    async with (
        Sandbox(SandboxOptions(spaces={"spa": SpaceSpec(60, "recipe")})) as sandbox,
        aiohttp.ClientSession(auto_decompress=False, connector=connector) as session,
    ):
        yield EnsureScenario(sandbox, services_for(pool, session, time, sandbox.url, **(settings or {})), time)


async def test_posts_whose_connections_take_longer_than_a_claim_lasts_are_sent(fake_pool: StorePool) -> None:
    async with open_scenario(fake_pool, takes_s=lambda _: 2.3) as scenario:
        await scenario.read()
        sync = await scenario.finish()
        assert (sync.state, sync.credits) == (SyncState.COMPLETED, 900)
        assert len(scenario.sandbox.posts) == 3


async def test_connections_that_always_time_out_end_the_sync_within_the_budget(fake_pool: StorePool) -> None:
    async with open_scenario(fake_pool, takes_s=lambda method: 99.0 if method == "POST" else 0.0) as scenario:
        await scenario.read()
        began_at = scenario.time.now
        sync = await scenario.finish()
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("mavera_unavailable", True)
        assert "no connection within" in sync.error.message
        assert scenario.time.now - began_at < 2 * scenario.services.settings.retry_budget_s
        assert scenario.sandbox.posts == []
        await scenario.assert_no_claim()


async def test_a_deadline_that_is_missed_each_time_ends_the_sync_within_the_budget(
    fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_scenario(fake_pool) as scenario:
        original, asked = PersonaStore.claim, []

        async def slow(self: PersonaStore, *given: Any, **options: Any) -> Any:
            answer = await original(self, *given, **options)
            scenario.time.now += 3  # as long as Redis took to answer
            asked.append(answer.kind)
            return answer

        monkeypatch.setattr(PersonaStore, "claim", slow)
        await scenario.read()
        began_at = scenario.time.now
        sync = await scenario.finish()
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("mavera_unavailable", True)
        assert "claim" in sync.error.message
        assert scenario.time.now - began_at < 2 * scenario.services.settings.retry_budget_s
        assert set(asked) == {"won"}
        assert scenario.sandbox.posts == []
        await scenario.assert_no_claim()


async def test_an_error_before_the_post_is_sent_leaves_no_claim(
    fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_scenario(fake_pool) as scenario:
        original = PersonaStore.claim

        async def breaks(self: PersonaStore, *given: Any, **options: Any) -> Any:
            await original(self, *given, **options)
            raise TypeError("a defect")

        monkeypatch.setattr(PersonaStore, "claim", breaks)
        await scenario.read()
        sync = await scenario.finish()
        assert sync.error
        assert sync.error.code == "internal_error"
        assert scenario.sandbox.posts == []
        await scenario.assert_no_claim()


async def test_a_job_whose_sync_is_taken_over_before_the_post_sends_none(
    fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_scenario(fake_pool) as scenario:

        async def lost(*_: Any, **__: Any) -> Any:
            raise LeaseLost("the sync is now cancelled")

        await scenario.read()
        monkeypatch.setattr(PersonaStore, "claim", lost)
        await finalize({"worker": scenario.services}, "s1", 2)
        assert scenario.sandbox.posts == []
        await scenario.assert_no_claim()


@pytest.mark.parametrize(
    ("fields", "watched_s"),
    [
        pytest.param({}, 25, id="an earlier version's claim"),
        pytest.param({"at": 0}, 25, id="the clock of Redis has stepped forward"),
        pytest.param({"at": 32_503_680_000_000}, 25, id="the clock of Redis has stepped back"),
        pytest.param({"settle_ms": 75_000}, 75, id="the claimant waits longer for its POST"),
        pytest.param({"settle_ms": 3_000}, 25, id="the claimant waits less"),
    ],
)
async def test_absence_is_believed_after_this_process_has_watched_the_claim(
    fake_pool: StorePool, fields: dict[str, object], watched_s: float
) -> None:
    async with open_scenario(fake_pool) as scenario:
        await scenario.read()
        await scenario.claim("growth", **fields)
        began_at, seen_at = scenario.time.now, []
        original = scenario.services.mavera.create

        async def create(payload: Any, *given: Any, **options: Any) -> Any:
            seen_at.append((payload.name, scenario.time.now - began_at))
            return await original(payload, *given, **options)

        scenario.services.mavera.create = create  # type: ignore[method-assign]
        sync = await scenario.finish()
        assert (sync.state, sync.credits) == (SyncState.COMPLETED, 900)
        # The others were bought first; a connection is opened once before it is known that the claim is held.
        assert [name for name, at in seen_at if at < watched_s] == [
            "Segment CDP: High Value",
            "Segment CDP: At Risk",
            "Segment CDP: Growth",
        ]
        assert seen_at[-1][0] == "Segment CDP: Growth"
        assert seen_at[-1][1] >= watched_s
        assert len(scenario.sandbox.posts) == 3


async def test_open_claims_of_a_sync_count_as_spent(fake_pool: StorePool) -> None:
    async with open_scenario(fake_pool) as scenario:
        await scenario.read(max_credits=900)
        scenario.sandbox.add_fault(Fault("mavera", "created_late", route="create", at=1, seconds=3600))
        scenario.sandbox.add_fault(Fault("mavera", "status", route="create", status=402, at=3))
        sync = await scenario.finish()
        assert sync.error
        assert sync.error.code == "insufficient_credits"
        claim = await scenario.services.personas.find_claim(str(cluster_reference(REQUEST, "", "high_value")))
        assert claim
        # One is bought, one may have been: no more than one of the three is left to buy.
        scenario.sandbox.clear_faults()
        refused = sync.request.with_budget(600)
        await client_of(scenario.services).resume(sync, sync_payload("s1", "finalize", sync.epoch + 1), request=refused)
        sync = await scenario.finish()
        assert sync.error
        assert sync.error.code == "over_budget"
        assert len(scenario.sandbox.personas) == 1


async def test_a_refused_update_names_the_command_that_forgets_the_persona(fake_pool: StorePool) -> None:
    async with open_scenario(fake_pool) as scenario:
        await scenario.read()
        await scenario.finish()
        await scenario.services.pool.delete(
            keys.personas(_account(scenario.services)), keys.sync("s1"), keys.outcomes("s1")
        )
        scenario.sandbox.add_fault(Fault("mavera", "status", route="update", status=403))
        await scenario.read()
        sync = await scenario.finish()
        assert sync.error
        assert sync.error.code == "mavera_forbidden"
        assert "personas forget spa high_value" in sync.error.hint
        assert len(scenario.sandbox.posts) == 3
