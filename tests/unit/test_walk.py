"""The walk, where a cancellation meets it: a page is counted together with what follows it, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.fake_time import FakeTime, context_for
from worker.clusters import Aggregate, fold
from worker.http import new_session
from worker.jobs import counting as counting_module
from worker.jobs import walk as walk_module
from worker.jobs.context import WorkerContext
from worker.jobs.tickets import ticket
from worker.sandbox import Sandbox, SandboxOptions, SpaceSpec
from worker.store import StorePool
from worker.sync import Sync, SyncRequest, SyncState

SPEC = SpaceSpec(500, "wide")


async def _sync(context: WorkerContext, sync_id: str) -> Sync:
    sync = await context.syncs.get(sync_id)
    assert sync
    return sync


async def _walk(context: WorkerContext, sync_id: str, epoch: int) -> None:
    await walk_module.walk({"worker": context}, sync_id, epoch)


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
async def test_a_walk_that_is_told_to_stop_right_after_a_page_counts_that_page_once(
    page: int, fake_pool: StorePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox, new_session() as session:
        context = context_for(fake_pool, session, FakeTime(fake_pool), sandbox.url)
        await context.syncs.create("syn_1", SyncRequest(space_id="s"), ticket("syn_1", "walk", 1))
        monkeypatch.setattr(counting_module, "fold", _cancels_after(page))
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(_walk(context, "syn_1", 1))
        monkeypatch.undo()
        stopped = await _sync(context, "syn_1")
        assert (stopped.pages, stopped.epoch) == (page, 2)
        if stopped.state is SyncState.FETCHING:
            await _walk(context, "syn_1", 2)
        ended = await _sync(context, "syn_1")
        assert ended.state is SyncState.FINALIZING
        assert (ended.pages, ended.profiles, ended.complete) == (3, 500, True)
