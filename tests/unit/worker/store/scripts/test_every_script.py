"""What holds for every script: it happens as a whole or not at all, and survives whatever its keys hold."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from tests.support.project.lua_scripts import lua_files
from tests.support.servers.redis_server import RedisServer
from tests.support.syncs.fan_out import FanOut
from tests.support.syncs.syncs import FAILURE, MOVES, PAGE, REQUEST, RETENTION_MS, STALL_MS, Syncs, after
from worker.errors import PersonasError, StoreUnavailable
from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.models.outcome import PersonaOutcome
from worker.models.schedule import Schedule
from worker.models.sync import SyncState
from worker.store import Limiter, PersonaRecord, RateScope, StorePool, keys, redis_pool
from worker.store.ratelimit.limiter import MustWait
from worker.store.schedules.alert_store import AlertStore
from worker.store.schedules.schedule_store import ScheduleStore, TickStore
from worker.store.scripts import queue as queue_scripts
from worker.store.typed_script import lua_script
from worker.store.webhooks.outbox_store import OutboxStore

Prepare = Callable[[Syncs], Awaitable[Callable[[], Awaitable[object]]]]
RECORD = PersonaRecord("per_1", "space", "new", "s1", n=3)
OUTCOME = PersonaOutcome("new", "per_1", "created", 300)
SCOPE = RateScope("scope", gap_s=0.5, most=3, window_s=60)
ACTIVE = keys.active(REQUEST.model_copy(update={"space_id": "s1"}).identity)


@dataclass(frozen=True)
class Script:
    """One script: how to get ready for it and run it, and the keys that it must not find with another type."""

    prepare: Prepare
    keys: tuple[str, ...]
    writes: bool = True


def job_move(name: str) -> Prepare:
    async def prepare(syncs: Syncs) -> Callable[[], Awaitable[object]]:
        state, move = MOVES[name]
        lease = await syncs.lease(state)
        return lambda: move(syncs, lease, "token")

    return prepare


async def create(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    request = REQUEST.model_copy(update={"space_id": "s1"})
    return lambda: syncs.create("s1", request, idempotency_key="mine")


async def begin(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    return lambda: syncs.jobs.begin("s1", 1, "walk", "holder")


async def cancel(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.bring(SyncState.FETCHING)
    return lambda: syncs.client.cancel("s1")


async def resume(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.bring(SyncState.FAILED)
    failed = await syncs.get()
    return lambda: syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1))


async def restart(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.bring(SyncState.FAILED, failed_in=SyncState.FINALIZING)
    await syncs.personas.record("another", replace(RECORD, persona_id="per_2"), OUTCOME)
    failed = await syncs.get()
    return lambda: syncs.client.resume(failed, sync_payload("s1", "walk", failed.epoch + 1), restart=True)


async def apply(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.bring(SyncState.COMPLETED)
    seen = await syncs.get()
    following = sync_payload("s1", "finalize", seen.epoch + 1)
    return lambda: syncs.client.apply(seen, following, seen.request.applied_within(900))


def revive(most: int) -> Prepare:
    async def prepare(syncs: Syncs) -> Callable[[], Awaitable[object]]:
        lease = await syncs.lease(SyncState.FETCHING)
        await syncs.pool.zadd(keys.DUE, {"s1": 1})
        return lambda: syncs.watchdog.revive_sync(
            "s1", SyncState.FETCHING, 1, after(lease), max_revivals=most, message="Lost."
        )

    return prepare


async def record(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "by")
    return lambda: syncs.personas.record("reference", RECORD, OUTCOME)


def batch_move(name: str) -> Prepare:
    async def prepare(syncs: Syncs) -> Callable[[], Awaitable[object]]:
        fan_out = FanOut(syncs.pool)
        await fan_out.start(1)
        key = await fan_out.key(1)
        following = batch_payload(key.next_attempt())
        if name == "commit_listing":
            at = fan_out.listing
            return lambda: fan_out.jobs.commit_listing(fan_out.lease, at, [], "token")
        if name == "begin_batch":
            return lambda: fan_out.batches.begin(key, "holder")
        begun = await fan_out.begin_batch(1)
        await fan_out.silence()
        moves: dict[str, Callable[[], Awaitable[object]]] = {
            "beat_batch": lambda: fan_out.batches.heartbeat(begun.lease),
            "count_batch": lambda: fan_out.count(begun),
            "retry_batch": lambda: fan_out.batches.retry(begun.lease, following),
            "fail_batch": lambda: fan_out.batches.fail(begun.lease, FAILURE),
            "revive_batch": lambda: fan_out.watchdog.revive_batch(key, following, max_lost=5, message="Lost."),
        }
        return moves[name]

    return prepare


async def release(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    lease = await syncs.lease(SyncState.FINALIZING)
    await syncs.personas.claim(lease, "reference", "by")
    return lambda: syncs.personas.release_claim("reference", "by")


async def forget(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.personas.record("reference", RECORD, OUTCOME)
    return lambda: syncs.personas.delete_record("reference", RECORD)


async def leave(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    lease = await syncs.lease(SyncState.FINALIZING)
    return lambda: syncs.personas.record_unsent(lease, "reference", None, RECORD, OUTCOME)


async def adopt(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    return lambda: syncs.personas.adopt("reference", RECORD, "identity")


async def rename(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.personas.record("old", RECORD, OUTCOME)
    renamed = replace(RECORD, cluster="newer")
    return lambda: syncs.personas.rename("old", "reference", RECORD, renamed, "identity")


async def note_run(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    return syncs.personas.redis_run


async def reserve(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    limiter = Limiter(syncs.pool, SCOPE)
    return lambda: limiter.wait_for_slot(0)


async def penalise(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    limiter = Limiter(syncs.pool, SCOPE)
    return lambda: limiter.penalise(1)


async def take(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    return lambda: syncs.queue.take_jobs(1, 60)


async def give_back(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    return lambda: syncs.queue.give_back_job(taken)


async def give_back_lost(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    mark = await syncs.pool.get(b"arq:in-progress:" + taken.job_id)
    assert mark
    return lambda: queue_scripts.give_back_lost(
        syncs.pool, queue=keys.QUEUE, wake=keys.WAKE, token=mark.split()[0].decode(), kept=()
    )


async def leave_job(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    [taken] = (await syncs.queue.take_jobs(1, 60)).jobs
    return lambda: syncs.queue.leave_job(taken)


async def assign_job(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    job = {"common": keys.QUEUE, "sync": keys.sync("s1"), "job_id": b"s1:walk:1"}
    return lambda: queue_scripts.assign_job(syncs.pool, **job, account="a", other="b")  # type: ignore[arg-type]


async def require_format(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    return lambda: syncs.jobs.require_format("s1", 2)


async def due(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    await syncs.create()
    await syncs.pool.zadd(keys.DUE, {"s1": 1})
    return syncs.watchdog.due


async def lock_watch(syncs: Syncs) -> Callable[[], Awaitable[object]]:
    return lambda: syncs.watchdog.lock_watch(0.5)


NIGHTLY = Schedule(request=REQUEST, cron="0 3 * * *")


def schedule_move(name: str) -> Prepare:
    async def prepare(syncs: Syncs) -> Callable[[], Awaitable[object]]:
        client = ScheduleStore(syncs.pool)
        ticks = TickStore(syncs.pool, stall_ms=STALL_MS, retention_ms=RETENTION_MS)
        alerts = AlertStore(syncs.pool)
        await OutboxStore(syncs.pool).announce()
        if name == "add":
            return lambda: client.add(NIGHTLY)
        await client.add(NIGHTLY)
        await syncs.pool.hset(keys.schedule(NIGHTLY.id), "next", "60000")  # type: ignore[misc]
        moves: dict[str, Callable[[], Awaitable[object]]] = {
            "list_due": ticks.due,
            "fire": lambda: ticks.fire(NIGHTLY, 60, 60, 120, sync_payload(NIGHTLY.sync_id(60), "walk", 1)),
            "skip": lambda: ticks.skip(NIGHTLY, 60, 60, 120),
            "pause": lambda: client.pause(NIGHTLY, paused=True),
            "remove": lambda: client.remove(NIGHTLY.id),
            "list_alerts": alerts.due,
            "note_overdue": lambda: alerts.note_overdue(NIGHTLY, 60, 120, "{}"),
        }
        return moves[name]

    return prepare


def webhook_move(name: str) -> Prepare:
    async def prepare(syncs: Syncs) -> Callable[[], Awaitable[object]]:
        outbox = OutboxStore(syncs.pool, "a1")
        await outbox.announce()
        await OutboxStore(syncs.pool).note_credits(low=True, document="{}")  # the event of the other outbox
        (pending,) = await OutboxStore(syncs.pool).take(1, 0)
        moves: dict[str, Callable[[], Awaitable[object]]] = {
            "take_events": lambda: OutboxStore(syncs.pool).take(1, 60),
            "settle_event": lambda: OutboxStore(syncs.pool).failed(pending, "503", 5),
            "note_credits": lambda: outbox.note_credits(low=True, document="{}"),
        }
        return moves[name]

    return prepare


MOVED = (keys.sync("s1"), keys.QUEUE, keys.DUE)
HANDED = (*MOVED, keys.WAKE)
SCHEDULED = (keys.schedule(NIGHTLY.id), keys.TICKS)
DELIVERED = (keys.outbox(""), keys.webhooks(""))
CLAIM, PERSONAS = keys.claim("account", "reference"), keys.personas("account")
SCRIPTS = {
    "sync/create": Script(create, (*HANDED, keys.SYNCS, ACTIVE, keys.request("mine"))),
    "sync/begin": Script(begin, (keys.sync("s1"), keys.DUE)),
    "sync/commit": Script(job_move("commit"), HANDED),
    "commit and walk on": Script(job_move("commit and walk on"), HANDED),
    "commit and finalize": Script(job_move("commit and finalize"), HANDED),
    "sync/heartbeat": Script(job_move("heartbeat"), (keys.sync("s1"), keys.DUE)),
    "sync/set_field": Script(job_move("remember"), (keys.sync("s1"),)),
    "sync/hand over": Script(job_move("hand over"), HANDED),
    "sync/complete": Script(job_move("complete"), MOVED),
    "sync/fail": Script(job_move("fail"), MOVED),
    "sync/cancel": Script(cancel, MOVED),
    "sync/resume": Script(resume, (*HANDED, keys.outcomes("s1"), ACTIVE)),
    "restart": Script(restart, (*HANDED, keys.outcomes("s1"), ACTIVE)),
    "sync/apply": Script(apply, (*HANDED, keys.outcomes("s1"), ACTIVE)),
    "watchdog/revive_sync": Script(revive(5), HANDED),
    "give up": Script(revive(0), HANDED),
    "persona/claim": Script(job_move("claim"), (CLAIM, PERSONAS, keys.sync("s1"))),
    "persona/record": Script(record, (PERSONAS, CLAIM, keys.sync("s1"), keys.outcomes("s1"))),
    "persona/release_claim": Script(release, (CLAIM,), writes=False),
    "persona/delete_record": Script(forget, (PERSONAS,), writes=False),
    "persona/record_unsent": Script(leave, (PERSONAS, keys.sync("s1"), keys.outcomes("s1"))),
    "persona/adopt": Script(adopt, (PERSONAS, CLAIM, keys.active("identity"))),
    "persona/rename": Script(rename, (PERSONAS, CLAIM, keys.active("identity"))),
    "connection/note_restart": Script(note_run, (keys.RUN,)),
    "ratelimit/reserve_slot": Script(reserve, (keys.limit("scope"), keys.limit("scope") + ":log")),
    "ratelimit/penalise": Script(penalise, (keys.limit("scope"),)),
    "queue/take_jobs": Script(take, ()),
    "watchdog/list_due": Script(due, (keys.DUE,)),
    "watchdog/lock_watch": Script(lock_watch, ()),
    "queue/give_back_job": Script(give_back, (keys.QUEUE, keys.WAKE), writes=False),
    "queue/give_back_lost": Script(give_back_lost, (keys.QUEUE, keys.WAKE)),
    "queue/leave_job": Script(leave_job, (keys.QUEUE,)),
    "queue/assign_job": Script(assign_job, (keys.QUEUE,)),
    "sync/require_format": Script(require_format, (keys.sync("s1"),)),
    "sync/commit_listing": Script(batch_move("commit_listing"), (*HANDED, keys.outcomes("s1"))),
    "batch/begin": Script(batch_move("begin_batch"), (keys.sync("s1"), keys.DUE)),
    "batch/heartbeat": Script(batch_move("beat_batch"), (keys.sync("s1"), keys.DUE)),
    "batch/count": Script(batch_move("count_batch"), (*HANDED, keys.outcomes("s1"))),
    "batch/requeue": Script(batch_move("retry_batch"), HANDED),
    "batch/fail": Script(batch_move("fail_batch"), MOVED),
    "watchdog/revive_batch": Script(batch_move("revive_batch"), HANDED),
    "schedule/add": Script(schedule_move("add"), (*SCHEDULED, keys.SCHEDULES)),
    "schedule/list_due": Script(schedule_move("list_due"), (keys.TICKS, keys.CLOCK)),
    "schedule/fire": Script(schedule_move("fire"), (*SCHEDULED, keys.sync(NIGHTLY.sync_id(60)), *HANDED[1:])),
    "schedule/skip": Script(schedule_move("skip"), SCHEDULED),
    "schedule/pause": Script(schedule_move("pause"), SCHEDULED),
    "schedule/list_alerts": Script(schedule_move("list_alerts"), (keys.OVERDUE, keys.CLOCK)),
    "schedule/note_overdue": Script(schedule_move("note_overdue"), (SCHEDULED[0], keys.OVERDUE)),
    "webhook/take_events": Script(webhook_move("take_events"), (*DELIVERED, keys.CLOCK)),
    "webhook/settle_event": Script(webhook_move("settle_event"), DELIVERED),
    "webhook/note_credits": Script(webhook_move("note_credits"), (keys.alerts("a1"),)),
    "schedule/remove": Script(schedule_move("remove"), (*SCHEDULED, keys.SCHEDULES), writes=False),
}


def test_every_script_is_tried_here() -> None:
    """The names of the moves are those of the scripts, but for what one script does in several ways."""
    # the probe is tried with restricted users, see tests/integration/redis/test_rights
    scripts = set(lua_files()) - {"connection/probe"}
    assert scripts == {name.replace(" ", "_") for name in SCRIPTS} - {
        "commit_and_walk_on",
        "commit_and_finalize",
        "restart",
        "give_up",
    }


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_key_of_another_type_stops_a_script_before_it_writes(
    pool: StorePool, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(lua_script, "REPAIR_PAUSES_S", (0.001, 0.001, 0.001))  # nothing repairs it
    for key in SCRIPTS[name].keys:
        await pool.flushall()
        syncs = Syncs(pool)
        run = await SCRIPTS[name].prepare(syncs)
        await pool.delete(key)
        await pool.sadd(key, "something else")
        before = await syncs.dump()
        with pytest.raises(PersonasError, match=rf"data of another program.*{re.escape(key)}.*holds a set"):
            await run()
        assert await syncs.dump() == before, key


@pytest.mark.parametrize("name", ["sync/complete", "sync/fail", "sync/cancel", "give up", "batch/fail"])
async def test_nothing_foreign_keeps_a_sync_from_its_end(pool: StorePool, name: str) -> None:
    syncs = Syncs(pool)
    run = await SCRIPTS[name].prepare(syncs)
    await pool.delete(ACTIVE)
    await pool.set(ACTIVE, "something else")
    await run()
    assert (await syncs.get()).state.is_final
    assert await pool.zcard(keys.DUE) == 0
    assert await pool.pttl(keys.sync("s1")) > 0


@pytest.fixture
async def impatient_pool(session_redis: RedisServer) -> AsyncIterator[StorePool]:
    """A client that waits for nothing."""
    pool = redis_pool(session_redis.url, max_wait_s=0)
    yield pool
    await pool.aclose()


@pytest.mark.parametrize("name", SCRIPTS)
async def test_a_redis_without_memory_takes_a_move_as_a_whole_or_not_at_all(
    real_pool: StorePool, impatient_pool: StorePool, name: str
) -> None:
    run = await SCRIPTS[name].prepare(Syncs(impatient_pool))
    syncs = Syncs(real_pool)
    before = await syncs.dump()
    try:
        await real_pool.config_set("maxmemory", 1)
        if SCRIPTS[name].writes:
            with pytest.raises(StoreUnavailable, match="memory"):
                await run()
            assert await syncs.dump() == before
        else:
            await run()
            assert await syncs.dump() != before
    finally:
        await real_pool.config_set("maxmemory", 0)
    if SCRIPTS[name].writes:
        await run()
        assert await syncs.dump() != before


async def test_numbers_reach_redis_without_loss(pool: StorePool) -> None:
    syncs = Syncs(pool)
    lease = await syncs.lease(SyncState.FETCHING)
    pages = 2**53 - 1
    await syncs.jobs.commit(lease, replace(PAGE, pages=pages, profiles=pages, complete=False), "token")
    sync = await syncs.get()
    assert (sync.pages, sync.profiles, sync.complete) == (pages, pages, False)


async def test_a_refused_slot_is_not_reserved(pool: StorePool) -> None:
    limiter = Limiter(pool, SCOPE)
    await limiter.wait_for_slot(0)
    before = await Syncs(pool).dump()
    with pytest.raises(MustWait):
        await limiter.wait_for_slot(0)
    assert await Syncs(pool).dump() == before
