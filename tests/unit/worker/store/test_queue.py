"""The queue: a job that may start is taken once, and an entry that is not a job is dropped once."""

from __future__ import annotations

import asyncio
import pickle

import orjson
import pytest
from redis.asyncio import Redis

from tests.support.syncs.syncs import REQUEST, STALL_MS, Syncs
from worker.errors import StoreUnusable
from worker.jobs.job_payloads import sync_payload
from worker.store import StorePool, keys
from worker.store.keys import QUEUE, WAKE
from worker.store.queue import JobQueue

JOB = {"f": "walk", "a": ["s1", 1], "k": {}, "t": None, "et": 1_700_000_000_000}


async def create(syncs: Syncs, number: int) -> None:
    sync_id = f"s{number}"
    request = REQUEST.model_copy(update={"space_id": sync_id})
    await syncs.client.create(sync_id, request, sync_payload(sync_id, "walk", 1))


async def test_jobs_are_taken_once_and_the_earliest_first(syncs: Syncs) -> None:
    for number in range(3):
        await create(syncs, number)
        await syncs.pool.zadd(QUEUE, {f"s{number}:walk:1": 1000 + number})
    first = await syncs.queue.take_jobs(2, 60)
    assert [(job.job_id, job.score) for job in first.jobs] == [(b"s0:walk:1", 1000), (b"s1:walk:1", 1001)]
    assert orjson.loads(first.jobs[0].job)["a"] == ["s0", 1]
    assert [job.job_id for job in (await syncs.queue.take_jobs(2, 60)).jobs] == [b"s2:walk:1"]
    assert (await syncs.queue.take_jobs(2, 60)).jobs == []
    assert 0 < await syncs.pool.pttl("arq:in-progress:s0:walk:1") <= 60_000


async def test_of_many_workers_each_job_goes_to_one(syncs: Syncs) -> None:
    for number in range(20):
        await create(syncs, number)
    takes = await asyncio.gather(*(syncs.queue.take_jobs(3, 60) for _ in range(10)))
    taken = [job.job_id for take in takes for job in take.jobs]
    assert len(taken) == len(set(taken)) == 20


async def test_a_worker_of_its_own_syncs_leaves_the_others(syncs: Syncs) -> None:
    own: set[str] = set()
    queue = JobQueue(syncs.pool, stall_ms=STALL_MS, own_syncs=own)
    for number in (1, 11, 111):
        await create(syncs, number)
    assert (await queue.take_jobs(5, 60)).jobs == []
    own.add("s11")
    assert [job.job_id for job in (await queue.take_jobs(5, 60)).jobs] == [b"s11:walk:1"]
    assert len((await syncs.queue.take_jobs(5, 60)).jobs) == 2


@pytest.mark.parametrize(("file", "is_left"), [("-", True), ("/dev/fd/63", True), ("/devices.json", False)])
async def test_a_shared_worker_leaves_the_input_of_another_process(syncs: Syncs, file: str, is_left: bool) -> None:
    request = REQUEST.model_copy(update={"file": file, "dialect": "auto"})
    await syncs.client.create("s1", request, sync_payload("s1", "walk", 1))
    assert len((await JobQueue(syncs.pool, stall_ms=STALL_MS, skips_pipes=True).take_jobs(5, 60)).jobs) == (not is_left)
    assert len((await JobQueue(syncs.pool, stall_ms=STALL_MS, own_syncs={"s1"}).take_jobs(5, 60)).jobs) == is_left


async def test_a_deferred_job_is_not_taken_and_its_time_is_reported(syncs: Syncs) -> None:
    assert (await syncs.queue.take_jobs(1, 60)).next_s is None
    await create(syncs, 1)
    seconds, _ = await syncs.pool.time()
    await syncs.pool.zadd(QUEUE, {"s1:walk:1": (seconds + 30) * 1000})
    take = await syncs.queue.take_jobs(1, 60)
    assert take.jobs == []
    assert take.next_s is not None
    assert 0 < take.next_s <= 30
    for score in ("+inf", 1e300, (seconds + 3600) * 1000):
        await syncs.pool.zadd(QUEUE, {"s1:walk:1": score})
        assert (await syncs.queue.take_jobs(1, 60)).next_s is None


@pytest.mark.parametrize(("score", "told"), [("-inf", 0), (-1e300, int(-1e300)), (0, 0), (1.5, 1), (-7, -7)])
async def test_a_score_that_is_not_a_time_does_no_harm(syncs: Syncs, score: float, told: int) -> None:
    await create(syncs, 1)
    await syncs.pool.zadd(QUEUE, {"s1:walk:1": score})
    assert [job.score for job in (await syncs.queue.take_jobs(1, 60)).jobs] == [told]


async def test_a_job_without_data_is_dropped(syncs: Syncs) -> None:
    await create(syncs, 1)
    await syncs.pool.zadd(QUEUE, {"gone": 1, b"\xff\xfe": 2})
    take = await syncs.queue.take_jobs(5, 60)
    assert take.dropped == [(b"gone", "its data is gone"), (b"\xff\xfe", "its data is gone")]
    assert [job.job_id for job in take.jobs] == [b"s1:walk:1"]
    assert await syncs.pool.zrange(QUEUE, 0, -1) == [b"s1:walk:1"]


@pytest.mark.parametrize("kind", ["hash", "list", "set", "zset"])
async def test_a_job_whose_data_is_of_another_type_is_dropped_with_it(syncs: Syncs, kind: str) -> None:
    await syncs.pool.zadd(QUEUE, {"odd": 1})
    match kind:
        case "hash":
            await syncs.pool.hset("arq:job:odd", "a", "b")
        case "list":
            await syncs.pool.rpush("arq:job:odd", "a")
        case "set":
            await syncs.pool.sadd("arq:job:odd", "a")
        case _:
            await syncs.pool.zadd("arq:job:odd", {"a": 1})
    assert (await syncs.queue.take_jobs(5, 60)).dropped == [(b"odd", f"its data is a {kind}")]
    assert await syncs.names() == set()


async def test_a_key_that_is_not_a_queue_is_dropped_and_work_continues(syncs: Syncs) -> None:
    await syncs.pool.set(QUEUE, "something else")
    take = await syncs.queue.take_jobs(5, 60)
    assert take.dropped == [(QUEUE.encode(), "sp:queue holds a string, not a zset")]
    assert (take.jobs, take.next_s) == ([], None)
    await create(syncs, 1)
    assert len((await syncs.queue.take_jobs(5, 60)).jobs) == 1


async def test_the_tries_that_arq_counts_are_ignored(syncs: Syncs) -> None:
    await create(syncs, 1)
    await syncs.pool.rpush("arq:retry:s1:walk:1", "no number")
    await syncs.queue.take_jobs(1, 60)
    assert await syncs.pool.exists("arq:retry:s1:walk:1") == 0


async def test_a_job_that_is_returned_is_free_and_wakes_a_worker(syncs: Syncs) -> None:
    await create(syncs, 1)
    await syncs.pool.delete(WAKE)
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    await syncs.queue.give_back_job(taken)
    assert await syncs.pool.llen(WAKE) == 1
    assert (await syncs.queue.take_jobs(1, 60)).jobs == [taken]


async def test_a_job_whose_answer_was_lost_has_its_place_again(syncs: Syncs, monkeypatch: pytest.MonkeyPatch) -> None:
    await syncs.queue.take_jobs(1, 60)  # Redis knows the script
    for number in range(4):
        await create(syncs, number)
        await syncs.pool.zadd(QUEUE, {f"s{number}:walk:1": 1000 + number})
    [elsewhere] = (await JobQueue(syncs.pool, stall_ms=STALL_MS).take_jobs(1, 60)).jobs
    await syncs.pool.delete(WAKE)
    to_lose, answered = 2, Redis.execute_command

    async def lose_answer(self: Redis, *args: object, **options: object) -> object:
        nonlocal to_lose
        answer = await answered(self, *args, **options)  # type: ignore[no-untyped-call]
        if args[0] == "EVALSHA" and to_lose:
            to_lose -= 1
            raise ConnectionError("the answer is lost")
        return answer

    monkeypatch.setattr(Redis, "execute_command", lose_answer)
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    assert (elsewhere.job_id, taken.job_id) == (b"s0:walk:1", b"s3:walk:1")
    assert await syncs.pool.llen(WAKE) == 2
    assert [job.score for job in (await syncs.queue.take_jobs(9, 60)).jobs] == [1001, 1002]


async def test_a_job_that_is_given_back_too_late_or_twice_wakes_no_worker(syncs: Syncs) -> None:
    await create(syncs, 1)
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    await syncs.queue.give_back_job(taken)
    await syncs.pool.delete(WAKE)
    await syncs.queue.give_back_job(taken)
    assert (await syncs.queue.take_jobs(1, 60)).jobs == [taken]
    await syncs.queue.drop_job(taken.job_id)
    await syncs.queue.give_back_job(taken)
    assert await syncs.pool.exists(WAKE, QUEUE, b"arq:in-progress:" + taken.job_id) == 0


async def test_a_dropped_job_leaves_nothing(syncs: Syncs) -> None:
    for job_id in (b"text", b"\xff\xfe"):
        await syncs.pool.zadd(QUEUE, {job_id: 1})
        for prefix in (b"arq:job:", b"arq:in-progress:", b"arq:retry:"):
            await syncs.pool.set(prefix + job_id, "1")
        await syncs.queue.drop_job(job_id)
    assert await syncs.names() == set()


# Waking


async def test_a_token_wakes_who_waits(syncs: Syncs) -> None:
    await create(syncs, 1)
    assert await syncs.queue.wait_for_job(2.5)
    assert await syncs.pool.llen(WAKE) == 0


async def test_a_wait_ends_without_a_token(syncs: Syncs) -> None:
    assert await syncs.queue.wait_for_job(0.01)


async def test_a_wait_that_redis_refuses_drops_nothing(syncs: Syncs) -> None:
    await create(syncs, 1)
    with pytest.raises(StoreUnusable, match="negative"):
        await syncs.queue.wait_for_job(-1)
    assert await syncs.pool.llen(WAKE) == 1


async def test_a_key_that_is_not_a_wake_list_is_dropped(syncs: Syncs) -> None:
    await syncs.pool.set(WAKE, "something else")
    assert not await syncs.queue.wait_for_job(1)
    assert await syncs.pool.exists(WAKE) == 0


# What a job may be


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        {**JOB, "t": 3},
        {**JOB, "more": 1},
        {**JOB, "f": "unknown", "a": [], "k": {"x": 1}},
        orjson.loads(sync_payload("s1", "walk", 1).job),
    ],
)
def test_a_job_is_json_with_the_five_parts_that_arq_relies_on(fake_pool: StorePool, job: dict[str, object]) -> None:
    assert fake_pool.job_deserializer
    assert fake_pool.job_serializer
    assert fake_pool.job_deserializer(fake_pool.job_serializer(job)) == job


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no json",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        pickle.dumps(JOB),
        *(orjson.dumps({name: value for name, value in JOB.items() if name != missing}) for missing in "fak"),
        *(orjson.dumps({**JOB, "f": value}) for value in (None, 1, ["walk"])),
        *(orjson.dumps({**JOB, "a": value}) for value in (None, "s1", {"0": "s1"})),
        *(orjson.dumps({**JOB, "k": value}) for value in (None, [], "k")),
        *(orjson.dumps({**JOB, "t": value}) for value in ("1", 1.0, True, [], -1, 2**62)),
        *(orjson.dumps({**JOB, "et": value}) for value in (None, "1", 1.0, True, -1, 10**14, 10**18)),
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_any_other_data_is_not_a_job(fake_pool: StorePool, raw: bytes) -> None:
    assert fake_pool.job_deserializer
    with pytest.raises(ValueError):  # noqa: PT011 - orjson's own among them
        fake_pool.job_deserializer(raw)


async def test_an_empty_name_is_not_a_key(syncs: Syncs) -> None:
    await syncs.create()
    assert "" not in await syncs.names()
    assert await syncs.pool.hget(keys.sync("s1"), "asked") == b""
