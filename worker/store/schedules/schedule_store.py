"""Schedules in Redis: what a client does with them, and how the watchdog handles their ticks.

Each change is one script.

Every method may be called again after a lost answer. Times are Unix seconds by the clock of Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.models.schedule import Schedule, ScheduleStatus, TickResult, UnreadableSchedule
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.progress.sync_progress import JobPayload
from worker.store.scripts import schedule as scripts
from worker.store.syncs.sync_reader import storable_ms

MOST = 1000
"""Schedules that one Redis keeps."""

WAIT_S = 30.0
"""Seconds between two checks of a tick that waits for a sync with other options."""


class ScheduleStore:
    """The schedules of a client."""

    def __init__(self, pool: StorePool) -> None:
        self._pool = pool

    async def add(self, schedule: Schedule) -> scripts.Addition:
        """Adds a schedule, or changes the options of the one with its id."""
        return await scripts.add(
            self._pool,
            schedule=keys.schedule(schedule.id),
            schedules=keys.SCHEDULES,
            ticks=keys.TICKS,
            id=schedule.id,
            document=schedule.as_stored(),
            alerts=keys.OVERDUE,
            next_ms=_ms(schedule.times.next_after(await self._pool.now())),
            alerts_after=schedule.alert_after_s is not None,
            limit=MOST,
        )

    async def get(self, schedule_id: str) -> ScheduleStatus | UnreadableSchedule | None:
        """Returns a schedule; None if it is not known."""
        return _read(schedule_id, await self._pool.hash_fields(keys.schedule(schedule_id)))

    async def all(self) -> Sequence[ScheduleStatus | UnreadableSchedule]:
        """Every schedule, the newest first."""
        ids = [raw.decode(errors="replace") for raw in await self._pool.zrevrange(keys.SCHEDULES, 0, MOST - 1)]
        async with self._pool.pipeline(transaction=False) as pipe:
            for schedule_id in ids:
                pipe.hgetall(keys.schedule(schedule_id))
            found = await pipe.execute() if ids else []
        read = (_read(schedule_id, fields) for schedule_id, fields in zip(ids, found, strict=True))
        return [one for one in read if one is not None]

    async def remove(self, schedule_id: str) -> bool:
        """Removes a schedule; a sync that it has started continues. Returns False if the schedule is not known."""
        answer = await scripts.remove(
            self._pool,
            schedule=keys.schedule(schedule_id),
            schedules=keys.SCHEDULES,
            ticks=keys.TICKS,
            alerts=keys.OVERDUE,
            id=schedule_id,
        )
        return answer is scripts.Removal.OK

    async def pause(self, schedule: Schedule, *, paused: bool) -> bool:
        """Pauses a schedule, or ends its pause; the ticks of the pause are not made up. False if it was not known."""
        answer = await scripts.pause(
            self._pool,
            schedule=keys.schedule(schedule.id),
            ticks=keys.TICKS,
            alerts=keys.OVERDUE,
            id=schedule.id,
            paused=paused,
            next_ms=_ms(schedule.times.next_after(await self._pool.now())),
        )
        return answer is scripts.Removal.OK


@dataclass(frozen=True)
class DueTick:
    """A schedule whose tick has come.

    Attributes:
        schedule_id: Its id.
        document: The stored schedule.
        tick: The stored tick; 0 if it must be computed again because the clock was set back.
        last_tick: The last tick that was handled, or when the schedule was added.
    """

    schedule_id: str
    document: bytes
    tick: float
    last_tick: float


@dataclass(frozen=True)
class FiredTick:
    """The result of a tick.

    Attributes:
        result: None if another worker has handled it.
        sync_id: The sync that it started, or that it found running; may be empty.
    """

    result: TickResult | None
    sync_id: str = ""


class TickStore:
    """The ticks that are due, for the watchdog.

    Args:
        pool: Redis.
        stall_ms: Milliseconds without a heartbeat after which a job counts as lost.
        retention_ms: Milliseconds for which an ended sync is kept.
        account_of: Returns the account of a space; None: a schedule names its account.
    """

    def __init__(
        self,
        pool: StorePool,
        *,
        stall_ms: int,
        retention_ms: int,
        account_of: Callable[[str], str] | None = None,
    ) -> None:
        self._pool = pool
        self._account_of = account_of
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    async def due(self, count: int = 100) -> tuple[float, Sequence[DueTick]]:
        """Returns the time, and at most `count` schedules whose tick has come."""
        found = await scripts.list_due(self._pool, ticks=keys.TICKS, clock=keys.CLOCK, count=count)
        return found.now / 1000, [_due_tick(entry) for entry in found.entries]

    async def fire(
        self, schedule: Schedule, expected: float, tick: float, following: float | None, job: JobPayload
    ) -> FiredTick:
        """Starts the sync of a tick, or follows the one that is under way.

        Args:
            schedule: Whose tick it is.
            expected: The stored tick, so that it is handled once.
            tick: The tick that is handled: the stored one, or a later one if several have come.
            following: The tick after it; None if none comes.
            job: The first job of the sync `schedule.sync_id(tick)`.
        """
        request, account = schedule.request, schedule.account_by(self._account_of)
        answer = await scripts.fire(
            self._pool,
            schedule=keys.schedule(schedule.id),
            ticks=keys.TICKS,
            sync=keys.sync(schedule.sync_id(tick)),
            queue=keys.queue(account),
            due=keys.DUE,
            wake=keys.wake(account),
            syncs=keys.SYNCS,
            active=keys.active(request.identity),
            schedule_id=schedule.id,
            expected_ms=_ms(expected) or 0,
            tick_ms=_ms(tick) or 0,
            next_ms=_ms(following),
            wait_ms=int(WAIT_S * 1000),
            id=schedule.sync_id(tick),
            request=request.model_dump_json(),
            identity=request.identity,
            account=account,
            job=job,
            stall_ms=self._stall_ms,
            retention_ms=self._retention_ms,
        )
        match answer:
            case scripts.Started(sync_id):
                return FiredTick("started", sync_id)
            case scripts.Followed(sync_id):
                return FiredTick("followed", sync_id)
            case scripts.Waiting(sync_id):
                return FiredTick("waiting", sync_id)
            case _:
                return FiredTick(None)

    async def skip(self, schedule: Schedule, expected: float, tick: float | None, following: float | None) -> bool:
        """Advances to the next tick without a sync.

        Args:
            schedule: The schedule.
            expected: Time of the tick that is stored as the next one, in Unix seconds.
            tick: Time of the tick that was missed; None: no tick was missed.
            following: Time of the tick after it; None: there is no further tick.

        Returns:
            False if another worker has handled the tick.
        """
        answer = await scripts.skip(
            self._pool,
            schedule=keys.schedule(schedule.id),
            ticks=keys.TICKS,
            schedule_id=schedule.id,
            expected_ms=_ms(expected) or 0,
            tick_ms=_ms(tick),
            next_ms=_ms(following),
        )
        return answer is scripts.Handled.OK

    async def postpone(self, schedule_id: str, for_s: float) -> None:
        """Postpones the next check of a schedule."""
        seconds, _ = await self._pool.time()
        await self._pool.zadd(keys.TICKS, {schedule_id: int((int(seconds) + for_s) * 1000)}, xx=True)


def _ms(moment: float | None) -> int | None:
    return None if moment is None else round(moment * 1000)


def _read(schedule_id: str, fields: dict[bytes, bytes]) -> ScheduleStatus | UnreadableSchedule | None:
    if not fields:
        return None
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    try:
        return ScheduleStatus.from_fields(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return UnreadableSchedule.of(schedule_id, error)


def _due_tick(entry: scripts.DueSchedule) -> DueTick:
    last = max(_seconds(entry.last_tick_ms), _seconds(entry.created_ms))
    return DueTick(entry.id.decode(errors="replace"), entry.document, _seconds(entry.tick_ms), last)


def _seconds(milliseconds: bytes) -> float:
    """Returns a stored time in seconds; 0 for what is not one."""
    return int(milliseconds) / 1000 if milliseconds.isdigit() else 0.0
