"""The list of syncs: pages in order whatever happens between two of them, filters, and versions."""

from __future__ import annotations

import pytest

from tests.support.syncs.syncs import REQUEST, Syncs
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.models.versions import UnreadableSync
from worker.store import SyncPage, SyncPlace, keys


def ids(page: SyncPage) -> list[str]:
    return [sync.id for sync in page.syncs]


async def many(syncs: Syncs, count: int) -> list[str]:
    """So many syncs, all created in the same millisecond, in the order of the list."""
    names = [f"s{number:02}" for number in range(count)]
    for name in names:
        await syncs.create(name, force=True)
    seconds, _ = await syncs.pool.time()
    await syncs.pool.zadd(keys.SYNCS, dict.fromkeys(names, int(seconds) * 1000))
    return names[::-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
async def test_pages_hold_every_sync_once_in_order(syncs: Syncs, limit: int) -> None:
    expected = await many(syncs, 7)
    found: list[str] = []
    end: SyncPlace | None = None
    while True:
        page = await syncs.client.page(limit, after=end)
        assert 0 < len(page.syncs) <= limit
        found += ids(page)
        if (end := page.end) is None:
            break
    assert found == expected


async def test_a_sync_that_comes_or_goes_between_two_pages_shifts_none(syncs: Syncs) -> None:
    expected = await many(syncs, 6)
    first = await syncs.client.page(2)
    await syncs.create("z", force=True)
    await syncs.pool.delete(keys.sync(expected[1]))
    await syncs.pool.zrem(keys.SYNCS, expected[1])
    second = await syncs.client.page(10, after=first.end)
    assert ids(first) + ids(second) == expected
    assert second.end is None


async def test_an_empty_list_is_one_empty_page(syncs: Syncs) -> None:
    assert await syncs.client.page(5) == SyncPage((), None)


async def test_filters_find_syncs_by_space_and_status(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED, "failed")
    await syncs.bring(SyncState.COMPLETED, "done")
    await syncs.bring(SyncState.QUEUED, "waits")
    plan = SyncRequest(space_id="done", plan_only=True)
    await syncs.create("plan", plan, force=True)
    await syncs.pool.hset(keys.sync("plan"), "state", "completed")

    async def found(**filters: object) -> list[str]:
        return ids(await syncs.client.page(10, **filters))

    assert await found(space_id="done") == ["plan", "done"]
    assert await found(statuses=["completed"]) == ["done"]
    assert await found(statuses=["planned", "failed"]) == ["plan", "failed"]
    assert await found(space_id="failed", statuses=["completed"]) == []
    assert await found(space_id="nowhere") == []


async def test_a_page_with_filters_ends_where_its_search_did(syncs: Syncs) -> None:
    await syncs.bring(SyncState.FAILED, "first")
    for number in range(5):
        await syncs.create(f"s{number}", force=True)
    page = await syncs.client.page(3, statuses=["failed"], scan=2)
    assert (page.syncs, page.end is None) == ((), False)
    looks = 1
    while page.end:
        page = await syncs.client.page(3, after=page.end, statuses=["failed"], scan=2)
        looks += 1
    assert (ids(page), looks) == (["first"], 3)


async def test_an_unreadable_sync_is_listed_as_such(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.create("s2", force=True)
    await syncs.pool.hset(keys.sync("s1"), "format", "99")
    everything = await syncs.client.page(5)
    assert [type(sync) for sync in everything.syncs] == [Sync, UnreadableSync]
    assert ids(await syncs.client.page(5, statuses=["unreadable"])) == ["s1"]
    assert ids(await syncs.client.page(5, statuses=["queued"])) == ["s2"]


async def test_a_list_carries_no_statistics_and_credits_nevertheless(syncs: Syncs) -> None:
    await syncs.lease(SyncState.FINALIZING)
    await syncs.pool.hset(keys.sync("s1"), "paid:per_1", "300")
    (sync,) = (await syncs.client.page(1)).syncs
    assert isinstance(sync, Sync)
    assert (sync.aggregate, sync.credits) == (b"", 300)


@pytest.mark.parametrize("state", list(SyncState))
async def test_the_version_in_a_list_is_the_one_of_the_sync(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    assert await syncs.client.versions(["s1", "unknown"]) == {"s1": (await syncs.get()).version}


async def test_every_change_of_a_sync_changes_its_version(syncs: Syncs) -> None:
    seen = []
    lease = await syncs.lease(SyncState.FETCHING)
    seen.append((await syncs.get()).version)
    await syncs.jobs.heartbeat(lease)
    assert (await syncs.get()).version == seen[-1]
    await syncs.jobs.heartbeat(lease, note="waits for Segment")
    seen.append((await syncs.get()).version)
    await syncs.client.cancel("s1")
    seen.append((await syncs.get()).version)
    assert len(set(seen)) == 3


async def test_a_key_names_the_request_that_it_came_with(syncs: Syncs) -> None:
    await syncs.create("s1", idempotency_key="mine")
    sync = await syncs.get()
    await syncs.pool.hset(keys.sync("s1"), "request", REQUEST.with_budget(5).model_dump_json())
    assert await syncs.client.asked_request(sync, "mine") == REQUEST
    assert await syncs.client.asked_request(sync, "another") is None
    await syncs.pool.hdel(keys.sync("s1"), "asked_request")  # as an earlier version left it
    assert await syncs.client.asked_request(sync, "mine") == sync.request
