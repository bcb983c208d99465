"""`SyncClient.schedules`: add, list, pause and remove schedules, which workers carry out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pydantic import ValidationError

from worker.errors import ConfigurationError, PersonasError
from worker.models.request import SyncRequest, describe_problems
from worker.models.schedule import Missed, Schedule, ScheduleStatus, UnreadableSchedule
from worker.store import StorePool
from worker.store.schedules.schedule_store import MOST, ScheduleStore
from worker.store.scripts.schedule import Addition


class ScheduleNotFound(PersonasError):
    """No schedule of that id is known."""

    code = "schedule_not_found"

    def __init__(self, schedule_id: str) -> None:
        hint = "To see all schedules: `segment-personas schedule list`."
        super().__init__(f"No schedule {schedule_id} is known", hint=hint)


class TooManySchedules(PersonasError):
    """The number of schedules has reached its limit."""

    code = "too_many_schedules"


class MalformedSchedule(ConfigurationError):
    """The cron expression, the time zone or another option of a schedule cannot be used."""


class ScheduleUnreadable(PersonasError):
    """A schedule cannot be read by this version, so it is shown as `schedule` and left alone.

    Attributes:
        code: `newer_version`, or `schedule_unreadable` if it is damaged.
        schedule: What is known of it.
    """

    def __init__(self, schedule: UnreadableSchedule) -> None:
        super().__init__(schedule.reason)
        self.code = schedule.code
        self.schedule = schedule


def build_schedule(
    request: SyncRequest,
    cron: str,
    *,
    timezone: str,
    missed: Missed,
    alert_after_s: float | None,
    account: str,
) -> Schedule:
    """Returns a schedule. Arguments and errors are those of `ScheduleClient` and its `add`."""
    try:
        return Schedule(
            request=request,
            cron=cron,
            timezone=timezone,
            missed=missed,
            alert_after_s=alert_after_s,
            account=account,
        )
    except ValidationError as error:
        name, reason = next(iter(describe_problems(Schedule, error).items()))
        raise MalformedSchedule(f"{name}: {reason}." if name else f"{reason[0].upper()}{reason[1:]}.") from None


class ScheduleClient:
    """The schedules of one Redis.

    Args:
        pool: Redis.
        account: The Mavera account of new schedules; may be empty, see `Schedule.account`.
        account_of: Returns the account of a space, if the client knows that of each; `account` is then not used.
    """

    def __init__(self, pool: StorePool, account: str = "", account_of: Callable[[str], str] | None = None) -> None:
        self._store = ScheduleStore(pool)
        self._account = account
        self._account_of = account_of

    def account_for(self, request: SyncRequest) -> str:
        """Returns the account of a new schedule of a request."""
        return self._account if self._account_of is None else self._account_of(request.space_id)

    async def add(
        self,
        request: SyncRequest,
        cron: str,
        *,
        timezone: str = "UTC",
        missed: Missed = "run-once",
        alert_after_s: float | None = None,
    ) -> ScheduleStatus:
        """Adds a schedule.

        One of the same space, collection, rules, cron expression and time zone is changed instead: it gets the other
        options, and keeps its ticks and its pause.

        Args:
            request: The sync that starts at each tick.
            cron: Five fields: minute, hour, day of month, month, day of week.
            timezone: IANA name of the time zone in which `cron` is read.
            missed: What happens to ticks that came while no worker was alive: `run-once` starts one sync for all of
                them, `skip` none.
            alert_after_s: Seconds without a complete sync of the space after which workers with `WEBHOOK_URL` send
                `sync.overdue`; at least 3,600. None: never.

        Raises:
            MalformedSchedule: The cron expression, the time zone or another option cannot be used.
            TooManySchedules: 1,000 schedules exist.
        """
        schedule = build_schedule(
            request,
            cron,
            timezone=timezone,
            missed=missed,
            alert_after_s=alert_after_s,
            account=self.account_for(request),
        )
        return (await self.put(schedule))[0]

    async def put(self, schedule: Schedule) -> tuple[ScheduleStatus, bool]:
        """Adds a schedule as `add` does; also returns whether it is new."""
        if self._account_of is not None:
            schedule = await self._as_known(schedule)
        answer = await self._store.add(schedule)
        if answer is Addition.FULL:
            raise TooManySchedules(f"{MOST:,} schedules exist already; remove one first")
        return await self.get(schedule.id), answer is Addition.CREATED

    async def _as_known(self, schedule: Schedule) -> Schedule:
        """Returns the schedule with the account under which it is known, so that a change of its account adds none."""
        for one in await self._store.all():
            known = one.schedule if isinstance(one, ScheduleStatus) else None
            if known and (known.request.identity, known.cron, known.timezone) == (
                schedule.request.identity,
                schedule.cron,
                schedule.timezone,
            ):
                fields = {name: getattr(schedule, name) for name in Schedule.model_fields}
                return Schedule(**{**fields, "account": known.account})
        return schedule

    async def get(self, schedule_id: str) -> ScheduleStatus:
        """Returns a schedule. Raises ScheduleNotFound; ScheduleUnreadable if this version cannot read it."""
        found = await self._store.get(schedule_id)
        if found is None:
            raise ScheduleNotFound(schedule_id)
        if isinstance(found, UnreadableSchedule):
            raise ScheduleUnreadable(found)
        return found

    async def list(self) -> Sequence[ScheduleStatus | UnreadableSchedule]:
        """Every schedule, the newest first, also those that this version cannot read."""
        return await self._store.all()

    async def remove(self, schedule_id: str) -> None:
        """Removes a schedule. A sync that it has started continues. Raises ScheduleNotFound."""
        if not await self._store.remove(schedule_id):
            raise ScheduleNotFound(schedule_id)

    async def pause(self, schedule_id: str) -> ScheduleStatus:
        """Lets the ticks of a schedule pass without a sync. Raises as `get` does."""
        return await self._set_pause(schedule_id, paused=True)

    async def unpause(self, schedule_id: str) -> ScheduleStatus:
        """Ends the pause of a schedule. The ticks of the pause are not made up. Raises as `get` does."""
        return await self._set_pause(schedule_id, paused=False)

    async def _set_pause(self, schedule_id: str, *, paused: bool) -> ScheduleStatus:
        found = await self.get(schedule_id)
        if not await self._store.pause(found.schedule, paused=paused):
            raise ScheduleNotFound(schedule_id)
        return await self.get(schedule_id)
