"""Asking for a sync: ask twice, run once."""

from __future__ import annotations

import pytest

from tests.support.syncs.syncs import ENDED, REQUEST, RETENTION_MS, UNDER_WAY, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.store import keys

OTHER_OPTIONS = REQUEST.model_copy(update={"min_cluster_size": 9})
OTHER_SPACE = REQUEST.model_copy(update={"space_id": "other"})


async def test_a_new_sync_and_its_job_are_written_in_one_move(syncs: Syncs) -> None:
    job = sync_payload("s1", "walk", 1)
    assert await syncs.client.create("s1", REQUEST, job) == "s1"

    sync = await syncs.get()
    assert (sync.id, sync.request, sync.state, sync.epoch) == ("s1", REQUEST, SyncState.QUEUED, 1)
    assert (sync.pages, sync.profiles, sync.revivals, sync.aggregate, sync.outcomes) == (0, 0, 0, b"", ())
    assert (sync.started_at, sync.error, sync.note) == (None, None, "")
    seconds, _ = await syncs.pool.time()
    assert abs(sync.created_at - seconds) < 60
    found = await syncs.dump()
    assert found["arq:job:s1:walk:1"].value == job.job
    assert list(found[keys.QUEUE].value) == [b"s1:walk:1"]
    assert found[keys.DUE].value[b"s1"] - found[keys.QUEUE].value[b"s1:walk:1"] == 3_600_000
    assert found[keys.WAKE].value == [b"1"]
    assert [name for name, key in found.items() if key.expires] == ["arq:job:s1:walk:1"]


@pytest.mark.parametrize("options", [{}, {"force": True}, {"idempotency_key": "mine"}])
async def test_a_request_whose_answer_was_lost_makes_one_sync(syncs: Syncs, options: dict[str, object]) -> None:
    await syncs.create(**options)
    await syncs.begin()
    before = await syncs.dump()
    assert await syncs.create(**options) == "s1"
    assert await syncs.dump() == before


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize("request_", [REQUEST, OTHER_OPTIONS])
async def test_what_is_under_way_is_what_a_second_request_means(
    syncs: Syncs, state: SyncState, request_: SyncRequest
) -> None:
    await syncs.bring(state)
    request_ = request_.model_copy(update={"space_id": "s1"})
    before = await syncs.dump()
    assert await syncs.create("s2", request_) == "s1"
    assert await syncs.dump() == before
    assert await syncs.create("s2", request_, force=True) == "s2"


@pytest.mark.parametrize("state", ENDED)
async def test_after_an_end_the_same_request_makes_a_new_sync(syncs: Syncs, state: SyncState) -> None:
    await syncs.bring(state)
    assert await syncs.create("s2", REQUEST.model_copy(update={"space_id": "s1"})) == "s2"


async def test_another_space_is_another_sync(syncs: Syncs) -> None:
    await syncs.create("s1")
    assert await syncs.create("s2", OTHER_SPACE) == "s2"


async def test_the_older_sync_is_still_under_way_after_a_forced_one_has_ended(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.create("s2", OTHER_OPTIONS, force=True)
    await syncs.client.cancel("s2")
    assert await syncs.create("s3") == "s1"
    await syncs.client.cancel("s1")
    assert await syncs.create("s3") == "s3"


async def test_of_several_under_way_a_request_means_the_one_with_its_options(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.create("s2", OTHER_OPTIONS, force=True)
    assert await syncs.create("s3") == "s1"
    assert await syncs.create("s3", OTHER_OPTIONS) == "s2"
    # The newer is the later one by Redis' clock, or by name within a millisecond.
    assert await syncs.create("s3", REQUEST.model_copy(update={"max_profiles": 5})) == "s2"


async def test_what_is_no_longer_known_is_not_under_way(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.pool.delete(keys.sync("s1"))
    await syncs.create("s2")
    await syncs.pool.delete(keys.sync("s2"))
    await syncs.pool.set(keys.sync("s2"), "something else")
    assert await syncs.create("s3") == "s3"


@pytest.mark.parametrize("state", [SyncState.QUEUED, *ENDED])
async def test_an_idempotency_key_never_starts_a_second_sync(syncs: Syncs, state: SyncState) -> None:
    await syncs.create("s1", idempotency_key="mine")
    if state is not SyncState.QUEUED:
        await syncs.client.cancel("s1")
    before = await syncs.dump()
    assert await syncs.create("s2", idempotency_key="mine", force=True) == "s1"
    assert await syncs.create("s2", OTHER_SPACE, idempotency_key="mine") == "s1"
    assert await syncs.dump() == before
    assert await syncs.create("s2", OTHER_SPACE, idempotency_key="another") == "s2"


async def test_an_idempotency_key_is_known_for_as_long_as_its_sync(syncs: Syncs) -> None:
    await syncs.create("s1", idempotency_key="mine")
    assert await syncs.pool.pttl(keys.request("mine")) == -1
    await syncs.client.cancel("s1")
    assert 0 < await syncs.pool.pttl(keys.request("mine")) <= RETENTION_MS


async def test_the_newest_syncs_come_first_and_without_statistics(syncs: Syncs) -> None:
    assert await syncs.client.newest() == []
    for number in range(4):
        await syncs.create(f"s{number}", force=True)
    assert [sync.id for sync in await syncs.client.newest(3)] == ["s3", "s2", "s1"]
    await syncs.pool.delete(keys.sync("s2"))
    assert [sync.id for sync in await syncs.client.newest(3)] == ["s3", "s1", "s0"]


async def test_the_list_of_syncs_forgets_what_has_long_expired(syncs: Syncs) -> None:
    await syncs.create("s1")
    await syncs.pool.zadd(keys.SYNCS, {"old": 1})
    await syncs.create("s2", OTHER_SPACE)
    assert set(await syncs.pool.zrange(keys.SYNCS, 0, -1)) == {b"s1", b"s2"}


async def test_a_sync_that_is_not_known_is_none(syncs: Syncs) -> None:
    assert await syncs.client.get("none") is None
