"""Malformed queue entries: a worker logs one line for each, drops it without executing it, and continues."""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest

from producer.sandbox import SpaceSpec
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE, Scenario, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.syncs import FAILURE, Syncs
from worker.jobs.job_payloads import sync_payload
from worker.store import keys
from worker.store.keys import QUEUE, WAKE

JOB = {"f": "walk", "a": ["none", 1], "k": {}, "t": None, "et": 1_700_000_000_000}


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str, int], int], tuple[str, int]]:
        return os.open, (str(self.path), os.O_CREAT)


def job(**changes: object) -> bytes:
    return orjson.dumps({**JOB, **changes})


def bad_data(trap: Path) -> dict[str, bytes]:
    """Job id → data that is not a job of this program."""
    return {
        "bad-empty": b"",
        "bad-text": b"no json",
        "bad-bytes": b"\xff\xfe\x00",
        "bad-null": b"null",
        "bad-list": b"[]",
        "bad-parts": b"{}",
        "bad-depth": b"[" * 100_000,
        "bad-size": b'"' + b"x" * 5_000_000 + b'"',
        "bad-pickle": pickle.dumps({**JOB, "a": [Trap(trap), 1]}),
        "bad-pickle-of-a-job": pickle.dumps(JOB),
        "bad-function": job(f="os.system", a=["touch trap"]),
        "bad-no-function": job(f=""),
        "bad-dunder": job(f="__init__"),
        "bad-long-function": job(f="x" * 10_000),
        "bad-function-type": job(f=["walk"]),
        "bad-no-arguments": job(a=[]),
        "bad-one-argument": job(a=["none"]),
        "bad-three-arguments": job(a=["none", 1, 2]),
        "bad-arguments-type": job(a="none"),
        "bad-arguments-object": job(a={"sync_id": "none"}),
        "bad-sync-number": job(a=[1, 1]),
        "bad-sync-null": job(a=[None, 1]),
        "bad-sync-empty": job(a=["", 1]),
        "bad-sync-lines": job(a=["a\nb", 1]),
        "bad-sync-long": job(a=["x" * 100_000, 1]),
        "bad-epoch-text": job(a=["none", "1"]),
        "bad-epoch-bool": job(a=["none", True]),
        "bad-epoch-float": job(a=["none", 1.5]),
        "bad-epoch-huge": b'{"f":"walk","a":["none",1%s],"k":{},"t":null,"et":1}' % (b"0" * 400),
        "bad-keywords": job(k={"sync_id": "none", "epoch": 1}),
        "bad-context": job(k={"ctx": {}}),
        "bad-try": job(t="1"),
        "bad-tries": job(t=2**62),
        "bad-time": job(et="yesterday"),
        "bad-time-before-christ": job(et=-90_000_000_000_000),
        "bad-time-of-the-end": job(et=10**15),
    }


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Callable[..., WorkerProcess]) -> AsyncIterator[Scenario]:
    """A Redis, a sandbox and a client; the tests start the worker."""
    spaces = {"spa": RECIPE, "other": SpaceSpec(2_000, "mixed", seed=3)}
    async with start_scenario(session_redis, start_worker, spaces) as made:
        yield made


async def nothing_waits(scenario: Scenario) -> None:
    """Returns when the queue is empty, and nothing is left of any job.

    The last line about them may still be on its way to the log; it is there once the worker has worked on.
    """

    async def empty() -> bool:
        return not [key async for key in scenario.pool.scan_iter("arq:*")] and not await scenario.pool.exists(
            QUEUE, scenario.queue
        )

    await until(empty)


def lines_about(worker: WorkerProcess, name: str) -> list[str]:
    """The lines of the log that name a job, or a sync."""
    return [line for line in worker.text().splitlines() if re.search(rf"{re.escape(name)}(?![\w-])", line)]


async def assert_still_works(scenario: Scenario, worker: WorkerProcess) -> None:
    """The same worker process runs a sync to its end, exact."""
    assert worker.alive
    await scenario.assert_bought_once(await scenario.sync("spa"))
    await scenario.assert_clean()
    assert "Traceback" not in worker.text()


async def test_an_entry_that_is_not_a_job_is_dropped_with_one_line(scenario: Scenario, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    data = bad_data(trap)
    for number, (job_id, raw) in enumerate(data.items()):
        await scenario.pool.set(f"arq:job:{job_id}", raw)
        await scenario.pool.zadd(QUEUE, {job_id: number})
    worker = scenario.worker()
    await nothing_waits(scenario)
    await assert_still_works(scenario, worker)

    assert {job_id: len(lines_about(worker, job_id)) for job_id in data} == dict.fromkeys(data, 1)
    assert all("WARNING" in line and "dropped" in line for job_id in data for line in lines_about(worker, job_id))
    assert max(map(len, worker.text().splitlines())) < 500
    assert not trap.exists()
    assert pickle.loads(data["bad-pickle"])  # which is what it would have done
    assert trap.exists()


async def test_wrong_types_expired_data_and_odd_ids_are_dropped_with_one_line(scenario: Scenario) -> None:
    pool = scenario.pool
    await pool.hset("arq:job:odd-hash", "a", "b")
    await pool.rpush("arq:job:odd-list", "a")
    await pool.sadd("arq:job:odd-set", "a")
    await pool.zadd("arq:job:odd-zset", {"a": 1})
    await pool.xadd("arq:job:odd-stream", {"a": 1})
    await pool.set("arq:job:odd-expired", job(), px=1)
    ids: dict[str | bytes, str] = {
        **{f"odd-{kind}": f"odd-{kind}" for kind in ("hash", "list", "set", "zset", "stream", "expired", "missing")},
        b"odd-\xff\xfe-bytes": r"odd-\xff\xfe-bytes",
        b"odd-\xff\xfe-missing": r"odd-\xff\xfe-missing",
        "odd-line\nbreak": r"odd-line\nbreak",
    }
    await pool.set(b"arq:job:odd-\xff\xfe-bytes", job())
    await pool.set("arq:job:odd-line\nbreak", b"no json")
    await pool.zadd(QUEUE, dict.fromkeys(ids, 1))
    worker = scenario.worker()
    await nothing_waits(scenario)
    await assert_still_works(scenario, worker)
    assert {name: len(lines_about(worker, name)) for name in ids.values()} == dict.fromkeys(ids.values(), 1)


async def test_jobs_of_syncs_that_are_not_there_or_not_theirs_end_quietly(scenario: Scenario) -> None:
    syncs = Syncs(scenario.pool)
    await syncs.create("cancelled")
    await syncs.client.cancel("cancelled")
    await syncs.create("failed")
    await syncs.jobs.fail((await syncs.begin("failed")).lease, FAILURE, "token")
    before = {sync_id: await syncs.get(sync_id) for sync_id in ("cancelled", "failed")}
    jobs = {
        "stray-none": job(a=["stray-sync", 1]),
        "stray-finalize": job(f="finalize", a=["stray-sync-2", 1]),
        "stray-long": job(a=["x" * 128, 1]),
        "stray-old": job(a=["cancelled", 1]),
        "stray-zero": job(a=["cancelled", 0]),
        "stray-negative": job(a=["failed", -1]),
        "stray-next": job(a=["failed", 2]),
        "stray-far": job(a=["failed", 2**63 - 1]),
        "stray-kind": job(f="finalize", a=["failed", 2]),
        "stray-tries": job(a=["failed", 1], t=999_999),
        "x" * 5_000: job(a=["stray-sync-3", 1]),
        "stray-é-☃": job(a=["stray-sync-4", 1]),
    }
    for job_id, raw in jobs.items():
        await scenario.pool.set(f"arq:job:{job_id}", raw)
        await scenario.pool.zadd(QUEUE, {job_id: 1})
    worker = scenario.worker()
    await nothing_waits(scenario)
    assert {sync_id: await syncs.get(sync_id) for sync_id in before} == before
    await assert_still_works(scenario, worker)
    for number in ("", "-2", "-3", "-4"):
        assert len(lines_about(worker, f"stray-sync{number}")) == 1


async def test_scores_and_tries_that_are_none_do_no_harm(scenario: Scenario) -> None:
    await scenario.pool.rpush("arq:retry:odd-tries", "no number")
    await scenario.pool.set("arq:retry:odd-count", "no number")
    scores = {"odd-tries": 1.0, "odd-count": 1.0, "odd-first": float("-inf"), "odd-early": -1e300}
    for job_id in (*scores, "odd-never"):
        await scenario.pool.set(f"arq:job:{job_id}", job(a=[job_id, 1]))
    await scenario.pool.zadd(QUEUE, {**scores, "odd-never": float("inf")})
    worker = scenario.worker()

    await nothing_waits(scenario)  # nothing is postponed without end: that one is due at the watchdog's next check
    await assert_still_works(scenario, worker)
    names = (*scores, "odd-never")
    assert {name: len(lines_about(worker, name)) for name in names} == dict.fromkeys(names, 1)


@pytest.mark.parametrize("key", [QUEUE, WAKE])
async def test_a_key_that_is_not_a_queue_is_dropped_with_one_line(scenario: Scenario, key: str) -> None:
    await scenario.pool.set(key, "something else")
    worker = scenario.worker()

    async def gone() -> bool:
        return await scenario.pool.type(key) != b"string"

    await until(gone)
    await assert_still_works(scenario, worker)
    assert len([line for line in worker.text().splitlines() if "WARNING" in line]) == 1
    assert len(lines_about(worker, key)) == 1


async def test_a_queue_that_is_lost_under_a_running_sync_is_made_good(scenario: Scenario) -> None:
    worker = scenario.worker()
    scenario.sandbox.set_options(latency_s=0.05)
    sync = await scenario.enqueue("other")
    for route, count in (("segment.page", 1), ("segment.page", 6), ("mavera.create", 1)):
        await scenario.sandbox.journal.wait_arrived(route, count)
        for queue in (QUEUE, scenario.queue):
            await scenario.pool.delete(queue)
            await scenario.pool.set(queue, "something else")
    await scenario.assert_bought_once(await scenario.ended(sync))
    await scenario.assert_clean()
    assert worker.alive


async def test_a_key_that_is_not_a_sync_does_not_end_the_worker(scenario: Scenario) -> None:
    await scenario.pool.rpush(keys.sync("odd-list"), "1")
    await scenario.pool.hset(keys.sync("odd-fields"), mapping={"state": "fetching", "epoch": "1", "holder": ""})
    for sync_id in ("odd-list", "odd-fields"):
        await scenario.pool.set(f"arq:job:{sync_id}", job(a=[sync_id, 1]))
        await scenario.pool.zadd(QUEUE, {sync_id: 1})
    worker = scenario.worker()
    await nothing_waits(scenario)
    await scenario.pool.delete(keys.sync("odd-list"), keys.sync("odd-fields"), keys.DUE)
    assert worker.alive
    await scenario.assert_bought_once(await scenario.sync("spa"))
    assert all(lines_about(worker, sync_id) for sync_id in ("odd-list", "odd-fields"))
    assert "Traceback" not in worker.text()


async def test_bad_jobs_among_good_ones_cost_the_good_ones_nothing(scenario: Scenario) -> None:
    worker = scenario.worker()
    scenario.sandbox.set_options(latency_s=0.02)
    sync = await scenario.enqueue("other")
    for number in range(300):
        kind = number % 3
        if kind:
            await scenario.pool.set(f"arq:job:bad-{number}", b"no json" if kind == 1 else job(f="unknown"))
        await scenario.pool.zadd(QUEUE, {f"bad-{number}": number})
        await scenario.pool.lpush(WAKE, "1")
    twin = sync_payload(sync.id, "walk", 1)
    await scenario.pool.set("arq:job:twin", twin.job)
    await scenario.pool.zadd(QUEUE, {"twin": 1})
    await scenario.assert_bought_once(await scenario.ended(sync))
    await nothing_waits(scenario)
    await assert_still_works(scenario, worker)
    dropped = Counter(re.findall(r"dropped b'(bad-\d+)'", worker.text()))
    assert dropped == Counter(f"bad-{number}" for number in range(300))
