"""Fan-out by its jobs: whatever the order and the fate of batches, the statistics are those of the chain."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.clocks.fake_time import FakeTime, client_of, services_for
from tests.support.scenarios.checks import same_statistics
from worker.errors import Permanent
from worker.http.client import new_session
from worker.jobs.composition.tasks import batch, walk
from worker.jobs.fetch import fan_out, page_batch_reader
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.segment import FetchedProfiles, Page
from worker.store import StorePool
from worker.store.keys import SLOTS

JOBS: dict[str, Callable[..., Any]] = {"walk": walk, "batch": batch}
SPEC = SpaceSpec(1990, "mixed", seed=3)
"""Twenty pages of a hundred; the last is not full."""
SPACES = {"s": SPEC, "clean": SpaceSpec(1990, "wide")}


@dataclass
class JobSequence:
    """A sync whose jobs are run one at a time, in an order of the test's."""

    services: WorkerServices
    sandbox: Sandbox
    time: FakeTime

    async def ask(self, sync_id: str = "syn_1", **request: Any) -> None:
        asked = SyncRequest(**{"space_id": "s", **request})
        await client_of(self.services).create(sync_id, asked, sync_payload(sync_id, "walk", 1), force=True)

    async def sync(self, sync_id: str = "syn_1") -> Sync:
        sync = await self.services.syncs.get(sync_id)
        assert sync
        return sync

    async def jobs(self) -> list[str]:
        """The jobs in the queue, those that may start and those that must wait, in their order."""
        return [raw.decode() for raw in await self.services.pool.zrange(self.services.queue.name, 0, -1)]

    async def run(self, job_id: str) -> None:
        """Runs a job as a worker does that has taken it."""
        data = await self.services.pool.get(f"arq:job:{job_id}")
        deserialize = self.services.pool.job_deserializer
        assert data
        assert deserialize
        job = deserialize(data)
        try:
            await JOBS[job["f"]]({"worker": self.services}, *job["a"])
        finally:
            await self.services.queue.drop_job(job_id.encode())

    async def read(self, choose: Callable[[list[str]], str] = lambda jobs: jobs[0]) -> Sync:
        """Runs jobs until the sync is read; choose: which of them comes next."""
        while (sync := await self.sync()).state in {SyncState.QUEUED, SyncState.FETCHING}:
            await self.run(choose(await self.jobs()))
        return sync


@pytest.fixture
async def sequence(fake_pool: StorePool) -> AsyncIterator[JobSequence]:
    async with Sandbox(SandboxOptions(spaces=SPACES, page_size=100)) as sandbox, new_session() as session:
        time = FakeTime(fake_pool)
        yield JobSequence(services_for(fake_pool, session, time, sandbox.url), sandbox, time)


@pytest.fixture
async def chain(sequence: JobSequence) -> Sync:
    """The same space, read by the chain."""
    await sequence.ask("syn_chain")
    await sequence.run("syn_chain:walk:1")
    await sequence.services.queue.drop_job(b"syn_chain:finalize:2")
    sync = await sequence.sync("syn_chain")
    assert (sync.state, sync.pages) == (SyncState.FINALIZING, 20)
    return sync


def same(sync: Sync, chain: Sync) -> bool:
    assert sync.error is None
    counts = (sync.pages, sync.profiles, sync.complete) == (chain.pages, chain.profiles, chain.complete)
    return counts and same_statistics(sync.aggregate, chain.aggregate)


@pytest.mark.parametrize("seed", range(4))
async def test_batches_in_any_order_have_the_statistics_of_the_chain(
    sequence: JobSequence, chain: Sync, seed: int
) -> None:
    await sequence.ask(strategy="fan-out")
    assert same(await sequence.read(random.Random(seed).choice), chain)
    assert sequence.sandbox.journal.count("segment.listing", 200) == 20
    assert sequence.sandbox.journal.count("segment.page", 200) == 40
    assert await sequence.jobs() == ["syn_1:finalize:3"]


async def test_a_fetch_job_lists_without_traits_and_counts_nothing(sequence: JobSequence) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    sync = await sequence.sync()
    assert (sync.pages, sync.pages_listed, sync.complete, sync.epoch) == (0, 20, True, 2)
    assert [key.number for key in sync.outstanding] == [1, 2, 3]
    assert sequence.sandbox.journal.count("segment.page") == 0


async def test_many_fetch_jobs_and_batches_of_any_length_are_one_listing(
    sequence: JobSequence, chain: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "MAX_BYTES_PER_BATCH", 150)
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    assert 3 < len((await sequence.sync()).outstanding) < 20
    assert same(await sequence.read(), chain)
    assert (await sequence.sync()).pages_listed == 20


async def test_what_found_no_room_is_listed_again(
    sequence: JobSequence, chain: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_out, "MAX_PAGES_PER_BATCH", 1)
    sequence.services.settings = sequence.services.settings.model_copy(update={"segment_page_size": 40})
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    sync = await sequence.sync()
    assert (sync.pages_listed, len(sync.outstanding)) == (SLOTS, SLOTS)
    assert not [job for job in await sequence.jobs() if "walk" in job]
    sync = await sequence.read(random.Random(0).choice)
    assert (sync.pages, sync.pages_listed) == (50, 50)
    assert same_statistics(sync.aggregate, chain.aggregate)


@pytest.mark.parametrize("limit", [1, 99, 100, 101, 850, 1000])
async def test_a_limit_on_profiles_cuts_where_the_chain_cuts(sequence: JobSequence, limit: int) -> None:
    for sync_id, strategy in (("syn_2", "chain"), ("syn_1", "fan-out")):
        await sequence.ask(sync_id, space_id="clean", strategy=strategy, max_profiles=limit)
    await sequence.run("syn_2:walk:1")
    await sequence.services.queue.drop_job(b"syn_2:finalize:2")
    chain, sync = await sequence.sync("syn_2"), await sequence.read()
    assert (sync.profiles, sync.complete) == (limit, False)
    assert same(sync, chain)


async def test_a_limit_that_is_the_whole_space_leaves_it_complete(sequence: JobSequence) -> None:
    await sequence.ask(strategy="fan-out", max_profiles=1990)
    assert (await sequence.read()).complete


async def test_a_batch_that_is_asked_to_stop_goes_to_its_next_try(sequence: JobSequence, chain: Sync) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    sequence.sandbox.add_fault(Fault("segment", "hold", route="page", page=3))
    first = (await sequence.jobs())[0]
    running = asyncio.create_task(sequence.run(first))
    await sequence.sandbox.journal.wait_arrived("segment.page", 21)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    sequence.sandbox.clear_faults()
    assert "syn_1:batch:0:1:2" in await sequence.jobs()
    assert (await sequence.sync()).pages == 0
    assert same(await sequence.read(), chain)


async def test_a_batch_that_an_api_makes_wait_for_long_comes_back_later(sequence: JobSequence, chain: Sync) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    wait = Fault("segment", "status", route="page", page=2, times=1, status=429, retry_after="60")
    sequence.sandbox.add_fault(wait)
    await sequence.run("syn_1:batch:0:1:1")
    sync = await sequence.sync()
    assert "429" in sync.note
    assert "retrying" in sync.note
    assert (await sequence.jobs())[-1] == "syn_1:batch:0:1:2"
    assert not await sequence.services.pool.exists("arq:in-progress:syn_1:batch:0:1:2")
    await sequence.time.sleep(61)
    assert same(await sequence.read(), chain)


async def test_a_refused_page_fails_the_sync_with_its_place_and_resume_works(
    sequence: JobSequence, chain: Sync
) -> None:
    await sequence.ask(strategy="fan-out")
    sequence.sandbox.add_fault(Fault("segment", "status", route="page", page=9, times=1, status=401))
    await sequence.run("syn_1:walk:1")
    for _ in range(2):
        await sequence.run((await sequence.jobs())[0])
    failed = await sequence.sync()
    assert failed.error
    assert (failed.state, failed.error.code, failed.error.resumable) == (
        SyncState.FAILED,
        "segment_unauthorized",
        True,
    )
    assert "page 10" in failed.error.message
    assert (failed.pages, await sequence.jobs()) == (8, [])


@dataclass
class ShortPages:
    """A source whose pages with traits are shorter than its listing."""

    concurrent_pages = 2

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        return Page([{}] * 50, "half-way")

    async def fetch_traits(self, page: Page, number: int, call: object) -> FetchedProfiles:
        return FetchedProfiles(page.profiles)


async def test_pages_that_are_shorter_with_traits_fail_the_sync_for_good(
    sequence: JobSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    monkeypatch.setattr(sequence.services, "source", lambda _: ShortPages())
    await sequence.run((await sequence.jobs())[0])
    failed = await sequence.sync()
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("pages_differ", Permanent.resumable)
    assert "100 profiles without their traits, but 50 with them" in failed.error.message


async def test_a_fetch_job_that_is_asked_to_stop_keeps_what_it_has_listed(sequence: JobSequence, chain: Sync) -> None:
    await sequence.ask(strategy="fan-out")
    sequence.sandbox.add_fault(Fault("segment", "hold", route="listing", page=11))
    running = asyncio.create_task(sequence.run("syn_1:walk:1"))
    await sequence.sandbox.journal.wait_arrived("segment.listing", 12)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    sequence.sandbox.clear_faults()
    sync = await sequence.sync()
    # The request for a page is sent before the page before it is counted.
    assert sync.pages_listed in (10, 11)
    assert [key.number for key in sync.outstanding] == [1, 2]
    assert sequence.services.listings.count == 0
    assert same(await sequence.read(), chain)


@pytest.mark.parametrize(("strategy", "listings"), [("fan-out", 1), ("chain", 0)])
async def test_a_worker_knows_while_one_of_its_fetch_jobs_lists_for_all(
    sequence: JobSequence, strategy: str, listings: int
) -> None:
    await sequence.ask(strategy=strategy)
    sequence.sandbox.add_fault(Fault("segment", "hold", route="listing" if listings else "page", page=3))
    running = asyncio.create_task(sequence.run("syn_1:walk:1"))
    await sequence.sandbox.journal.wait_arrived("segment.listing" if listings else "segment.page", 4)
    assert sequence.services.listings.count == listings
    sequence.sandbox.clear_faults()
    await running
    assert sequence.services.listings.count == 0


async def test_a_listing_that_is_refused_keeps_what_was_listed(sequence: JobSequence) -> None:
    await sequence.ask(strategy="fan-out")
    sequence.sandbox.add_fault(Fault("segment", "status", route="listing", page=10, status=403))
    await sequence.run("syn_1:walk:1")
    failed = await sequence.sync()
    assert failed.error
    assert (failed.error.code, failed.pages_listed) == ("segment_forbidden", 10)
    assert [key.number for key in failed.outstanding] == [1, 2]
    assert await sequence.jobs() == []


async def test_a_page_that_always_fails_ends_the_sync_despite_its_batch(sequence: JobSequence) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    sequence.sandbox.add_fault(Fault("segment", "status", route="page", page=3, status=500))
    for _ in range(100):
        if (await sequence.sync()).state.is_final:
            break
        for job in await sequence.jobs():
            await sequence.run(job)
    failed = await sequence.sync()
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("segment_unavailable", True)
    assert "page 4" in failed.error.message


async def test_two_batches_at_once_are_both_counted(sequence: JobSequence, chain: Sync) -> None:
    await sequence.ask(strategy="fan-out")
    await sequence.run("syn_1:walk:1")
    await asyncio.gather(*(sequence.run(job) for job in await sequence.jobs()))
    assert same(await sequence.sync(), chain)


def test_a_batch_reads_several_pages_at_a_time() -> None:
    assert 1 < page_batch_reader.CONCURRENT_PAGES <= fan_out.MAX_PAGES_PER_BATCH <= 10
