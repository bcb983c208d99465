"""The walk, where a cancellation meets it: a page is counted together with what follows it, or not at all. And what it
says of itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.clocks.fake_time import FakeTime, client_of, services_for
from worker.clusters import Aggregate, fold
from worker.http.client import new_session
from worker.jobs.composition.tasks import walk
from worker.jobs.fetch import chain as counting_module
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerServices
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.store import StorePool

SPEC = SpaceSpec(500, "wide")


async def _sync(services: WorkerServices, sync_id: str) -> Sync:
    sync = await services.syncs.get(sync_id)
    assert sync
    return sync


async def _walk(services: WorkerServices, sync_id: str, epoch: int) -> None:
    await walk({"worker": services}, sync_id, epoch)


def _cancels_after(page: int) -> Callable[..., None]:
    """A fold that cancels its walk once it has counted the `page`-th page: the next await is where it is noticed."""
    pages = 0

    def folding(aggregate: Aggregate, profiles: list[object], *rules: Any, **options: Any) -> None:
        nonlocal pages
        fold(aggregate, profiles, *rules, **options)
        pages += 1
        if pages == page:
            task = asyncio.current_task()
            assert task
            task.cancel()

    return folding


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_fetch_job_stopped_right_after_a_page_counts_it_once(
    page: int, fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox, new_session() as session:
        services = services_for(fake_pool, session, FakeTime(fake_pool), sandbox.url)
        await client_of(services).create("syn_1", SyncRequest(space_id="s"), sync_payload("syn_1", "walk", 1))
        monkeypatch.setattr(counting_module, "fold", _cancels_after(page))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(_walk(services, "syn_1", 1))
        monkeypatch.undo()
        stopped = await _sync(services, "syn_1")
        assert (stopped.pages, stopped.epoch) == (page, 2)
        if stopped.state is SyncState.FETCHING:
            await _walk(services, "syn_1", 2)
        ended = await _sync(services, "syn_1")
        assert ended.state is SyncState.FINALIZING
        assert (ended.pages, ended.profiles, ended.complete) == (3, 500, True)


async def test_the_log_says_which_pages_a_fetch_job_has_read_if_any(
    fake_pool: StorePool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "segment_personas.jobs")
    async with Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox, new_session() as session:
        sandbox.add_fault(Fault("segment", "status", page=0, status=429, retry_after="60", times=1))
        services = services_for(fake_pool, session, time := FakeTime(fake_pool), sandbox.url)
        await client_of(services).create("syn_1", SyncRequest(space_id="s"), sync_payload("syn_1", "walk", 1))
        await _walk(services, "syn_1", 1)
        await time.sleep(60)
        await _walk(services, "syn_1", 2)
    logged = [record.getMessage() for record in caplog.records if "fetch job of epoch" in record.getMessage()]
    assert logged == ["syn_1: fetch job of epoch 1 read no page", "syn_1: fetch job of epoch 2 read pages 1 to 3"]
