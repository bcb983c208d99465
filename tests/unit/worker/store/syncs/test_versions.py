"""What newer versions have written: unknown fields are ignored, and what cannot be read is left to newer workers."""

from __future__ import annotations

import logging
from collections.abc import Callable

import aiohttp
import orjson
import pytest

from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.syncs.syncs import REQUEST, Syncs
from worker.clusters.analysis.change_detection import PersonaFigures
from worker.jobs.arq_worker import SyncWorker
from worker.jobs.composition.background import build_watchdog
from worker.jobs.job_payloads import JOB_VERSION, sync_payload
from worker.jobs.store_factories import mavera_account
from worker.models.plan import Plan
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState
from worker.models.versions import FORMAT, NewerVersion, SyncUnreadable, UnreadableSync, check_version
from worker.store import BatchWork, PersonaRecord, SentPersona, StorePool, keys


def _with(text: bytes | str, **fields: object) -> bytes:
    return orjson.dumps({**orjson.loads(text), **fields})


async def test_unknown_fields_of_every_document_are_ignored(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await syncs.bring(SyncState.COMPLETED)
    before = await syncs.get()
    request = _with(before.request.model_dump_json(), of_tomorrow=[1])
    await pool.hset(keys.sync("s1"), mapping={"request": request, "of_tomorrow": "1"})
    outcome = {"cluster": "new", "persona_id": "p", "action": "created", "credits": 300, "ignored": [], "x": 1}
    await pool.hset(keys.outcomes("s1"), "new", orjson.dumps(outcome))
    after = await syncs.get()
    assert after.request == before.request
    assert [outcome.persona_id for outcome in after.outcomes] == ["p"]
    assert [sync.id for sync in await syncs.client.newest()] == ["s1"]

    record = PersonaRecord("p", "space", "new", "s1", 5, sent=SentPersona("w", PersonaFigures(0.5, {}, {}), 1.0))
    raw = orjson.loads(record.encode())
    raw["sent"] |= {"of_tomorrow": 1}
    raw["sent"]["figures"] |= {"of_tomorrow": 1}
    assert PersonaRecord.decode(_with(orjson.dumps(raw), of_tomorrow={})) == record
    work = BatchWork(1, (("c", 20),), None)
    assert BatchWork.decode(_with(work.encode(), of_tomorrow=1)) == work
    assert Plan.decode(_with(Plan(max_credits=3).encode(), of_tomorrow=1).decode()) == Plan(max_credits=3)


async def test_a_record_with_unknown_fields_can_be_replaced_and_forgotten(pool: StorePool) -> None:
    syncs = Syncs(pool)
    raw = _with(PersonaRecord("p", "space", "new", "s1", 5).encode(), of_tomorrow=1)
    await pool.hset(keys.personas("account"), "ref", raw)
    record = await syncs.personas.find_record("ref")
    assert record is not None
    assert await syncs.personas.delete_record("ref", record)


def _request(**fields: object) -> str:
    return _with(REQUEST.model_dump_json(), **fields).decode()


NEW_CONDITION = {
    "name": "r",
    "traits": [{"name": "ltv", "keys": ["ltv"], "type": "number"}],
    "clusters": [{"key": "a", "label": "A", "when": {"trait": "ltv", "sounds_like": 3}}],
}

NEWER: dict[str, Callable[[], object]] = {
    "record": lambda: PersonaRecord.decode(_with(PersonaRecord("p", "s", "c", "y", 1).encode(), version=2)),
    "batch": lambda: BatchWork.decode(_with(BatchWork(1, (("c", 20),), None).encode(), version=3)),
    "plan": lambda: Plan.decode(_with(Plan().encode(), version=2).decode()),
    "request": lambda: SyncRequest.from_stored(_request(version=3)),
    "option": lambda: SyncRequest.from_stored(_request(dialect="graph")),
    "condition": lambda: SyncRequest.from_stored(_request(rules=NEW_CONDITION)),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_document_of_a_newer_version_is_named_as_such(name: str) -> None:
    with pytest.raises(NewerVersion):
        NEWER[name]()


@pytest.fixture
async def two_syncs(pool: StorePool) -> Syncs:
    """One of a newer format, and a younger one of ours."""
    syncs = Syncs(pool)
    for name in ("newer", "ours"):
        await syncs.create(name, REQUEST.model_copy(update={"space_id": name}))
    await pool.hset(keys.sync("newer"), "format", FORMAT + 1)
    return syncs


async def test_jobs_of_a_newer_format_stay_in_the_queue_and_are_passed_over(two_syncs: Syncs) -> None:
    first = await two_syncs.queue.take_jobs(5, 60)
    assert [job.job_id for job in first.jobs] == [b"ours:walk:1"]
    again = await two_syncs.queue.take_jobs(5, 60)
    assert (again.jobs, again.dropped) == ([], [])
    assert again.next_s is None or again.next_s > 1  # so no worker looks again at once
    assert await two_syncs.pool.zscore(keys.QUEUE, "newer:walk:1") is not None
    assert await two_syncs.pool.exists("arq:in-progress:newer:walk:1") == 0
    await two_syncs.pool.hset(keys.sync("newer"), "format", FORMAT)  # as a newer worker sees it
    assert [job.job_id for job in (await two_syncs.queue.take_jobs(5, 60)).jobs] == [b"newer:walk:1"]


async def test_what_an_earlier_version_left_to_newer_workers_is_taken_here(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await syncs.create("s1", REQUEST.model_copy(update={"warehouse": "auto"}))
    assert await pool.hget(keys.sync("s1"), "format") == b"1"
    with pytest.raises(NewerVersion) as met:  # what the earlier version raised
        check_version("a request", orjson.loads(await pool.hget(keys.sync("s1"), "request") or b"")["version"], 1)
    await pool.hset(keys.sync("s1"), "format", met.value.version)
    assert [job.job_id for job in (await syncs.queue.take_jobs(5, 60)).jobs] == [b"s1:walk:1"]
    assert (await syncs.get("s1")).request.warehouse == "auto"


async def test_many_jobs_of_a_newer_format_do_not_block_the_jobs_behind_them(pool: StorePool) -> None:
    syncs = Syncs(pool)
    for number in range(250):
        name = f"newer{number}"
        await syncs.create(name, REQUEST.model_copy(update={"space_id": name}))
        await pool.hset(keys.sync(name), "format", FORMAT + 1)
    await syncs.create("ours", REQUEST.model_copy(update={"space_id": "ours"}))
    assert [job.job_id for job in (await syncs.queue.take_jobs(5, 60)).jobs] == [b"ours:walk:1"]
    assert await pool.zcard(keys.QUEUE) == 251


async def test_a_silent_sync_of_a_newer_format_is_not_revived_here(two_syncs: Syncs) -> None:
    await two_syncs.pool.delete("arq:job:newer:walk:1")
    await two_syncs.pool.zadd(keys.DUE, {"newer": 1, "newer 3": 1})
    assert await two_syncs.watchdog.due() == []
    message = {"max_revivals": 0, "message": "lost"}
    answer = await two_syncs.watchdog.revive_sync(
        "newer", SyncState.QUEUED, 1, sync_payload("newer", "walk", 2), **message
    )
    assert answer == "waiting"
    assert await two_syncs.pool.hget(keys.sync("newer"), "state") == b"queued"
    assert await two_syncs.pool.hget(keys.sync("newer"), "revivals") == b"0"


async def test_a_sync_that_cannot_be_read_is_one_row_among_the_others(two_syncs: Syncs) -> None:
    await two_syncs.create("damaged", REQUEST.model_copy(update={"space_id": "third"}))
    await two_syncs.pool.hset(keys.sync("damaged"), "request", "{")
    rows = {row.id: row for row in await two_syncs.client.newest()}
    assert isinstance(rows["ours"], Sync)
    assert isinstance(rows["newer"], UnreadableSync)
    assert isinstance(rows["damaged"], UnreadableSync)
    assert (rows["newer"].code, rows["newer"].space_id) == ("newer_version", "newer")
    assert (rows["damaged"].code, rows["damaged"].space_id) == ("sync_unreadable", "")
    for name in ("newer", "damaged"):
        with pytest.raises(SyncUnreadable) as caught:
            await two_syncs.client.get(name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("request", '{"space_id":"spa","strategy":"swarm"}', "newer_version"),
        ("request", "", "sync_unreadable"),
        ("request", "[]", "sync_unreadable"),
        ("state", "ranking", "sync_unreadable"),
        ("pages", "many", "sync_unreadable"),
        ("format", "0x", "sync_unreadable"),
    ],
)
async def test_whatever_is_wrong_with_a_sync_it_is_a_row(pool: StorePool, field: str, text: str, code: str) -> None:
    syncs = Syncs(pool)
    await syncs.create()
    await pool.hset(keys.sync("s1"), field, text)
    [row] = await syncs.client.newest()
    assert isinstance(row, UnreadableSync)
    assert row.code == code


async def test_a_worker_leaves_what_it_cannot_read(fake_pool: StorePool, caplog: pytest.LogCaptureFixture) -> None:
    """Its jobs, its data and its revivals stay, and the worker does not try again and again."""
    caplog.set_level(logging.INFO)
    async with aiohttp.ClientSession() as session:
        services = services_for(fake_pool, session, FakeTime(fake_pool), "http://127.0.0.1:1")
        worker = SyncWorker(services)
        syncs = Syncs(fake_pool, account=mavera_account(services.settings))
        await syncs.create()
        request = _with(REQUEST.model_dump_json(), rules={"name": "r", "traits": [], "clusters": [], "order": 1})
        await fake_pool.hset(keys.sync("s1"), "request", request)
        [job] = (await syncs.queue.take_jobs(1, 60)).jobs
        await worker.functions["walk"].coroutine(worker.ctx, "s1", 1)
        fields = await fake_pool.hgetall(keys.sync("s1"))
        assert (fields[b"format"], fields[b"state"], fields[b"revivals"]) == (b"%d" % (FORMAT + 1), b"fetching", b"0")
        assert fields[b"request"] == request
        assert await fake_pool.zscore(syncs.queue.name, fields[b"job"]) is not None
        assert (await syncs.queue.take_jobs(5, 60)).jobs == []
        await fake_pool.zadd(keys.DUE, {"s1": 1})
        await build_watchdog(worker.ctx["worker"]).check_due()
        assert await fake_pool.hget(keys.sync("s1"), "revivals") == b"0"
        assert "left to newer workers" in caplog.text

        newer = orjson.dumps({**orjson.loads(job.job), "f": "rank", "v": JOB_VERSION + 1})
        await fake_pool.set("arq:job:of-tomorrow", newer)
        await fake_pool.zadd(syncs.queue.name, {"of-tomorrow": 1})
        [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
        await worker._start(taken)
        assert await fake_pool.get("arq:job:of-tomorrow") == newer
        assert await fake_pool.exists("arq:in-progress:of-tomorrow") == 0
        assert (await syncs.queue.take_jobs(1, 60)).jobs == []
