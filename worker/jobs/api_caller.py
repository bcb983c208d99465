"""ApiCaller with an API: the throttle before each request, retries after a failure, and an end to both.

A short wait is waited here; a long one (a `Retry-After`, a full window) is not worth a worker's slot: Defer tells the
job to hand its sync over to a later one.

The budget belongs to the request that fails: what other requests do meanwhile neither restores nor spends it, so
requests that fail in one moment each wait once. How long a request has failed when its job ends travels along to the
next job, which does not know which request it was: there it counts for every request that fails, until the job has
made progress that is kept (`made_progress`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from worker.errors import PersonasError, ResumableStop, Retry, WaitUntil
from worker.jobs.lease import Lease
from worker.jobs.services import WorkerContext
from worker.store import Limiter
from worker.store.ratelimit.limiter import MustWait

log = logging.getLogger("segment_personas.jobs")

T = TypeVar("T")

LONGEST_WAIT_S = 5.0
"""What a job waits for in its worker's slot; beyond it, it hands its sync over."""


_OF_ONE_REQUEST = re.compile(r" \(Request-Id [^)]*\)$")


def retry_note(error: Retry, left_s: float) -> str:
    """Why a request is repeated, and for how long: `Segment, page 3: 503 busy; retrying, 4 min left`."""
    left = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{max(0.0, left_s):.0f} s"
    return f"{error}; retrying, {left} left"


def same_reason(note: str, error: Retry) -> bool:
    """Whether a note shows this error already, perhaps with another request id and less time."""
    return _OF_ONE_REQUEST.sub("", note.partition("; retrying, ")[0]) == _OF_ONE_REQUEST.sub("", str(error))


class Defer(PersonasError):
    """The job should go on after `wait_s` seconds, in another slot."""

    def __init__(self, wait_s: float, note: str) -> None:
        super().__init__(note)
        self.wait_s = wait_s
        self.note = note


@dataclass(eq=False)
class _Request:
    """One request with its repetitions. since: when the first one that failed began; None: none has failed.

    ordered_s: seconds that the API has ordered to wait, of which nothing has passed yet.
    """

    failures: int = 0
    since: float | None = None
    ordered_s: float = 0.0


class ApiCaller:
    """Requests of one job to one API. trouble_ms: for how long a request of an earlier job had failed when it ended.

    lease: the job's, through which whoever follows its sync sees what it waits for. in_sequence: one call follows the
    other at once, so that the limiter can be told when.
    """

    def __init__(
        self,
        context: WorkerContext,
        limiter: Limiter,
        api: str,
        trouble_ms: int = 0,
        *,
        lease: Lease[Any] | None = None,
        in_sequence: bool = False,
    ) -> None:
        self._lease = lease
        self._in_sequence = in_sequence
        self._took_s: float | None = None
        self._context = context
        self._limiter = limiter
        self._api = api
        self._inherited_s = trouble_ms / 1000
        self._left_s = 0.0  # the trouble of requests that this job has given up
        self._failing: set[_Request] = set()
        self._single = _Request()  # the one that its caller repeats, see `failed`
        self._noted = bool(trouble_ms)  # the lease's note is the reason of a failure, also of an earlier job

    @property
    def trouble_ms(self) -> int:
        """For how long a request has failed by now, of those that have not succeeded; 0 if there is none."""
        worst_s = max(self._inherited_s, self._left_s, *(self._trouble_s(asked) for asked in self._failing))
        return max(1, int(worst_s * 1000)) if self._failing or worst_s else 0

    async def call(self, request: Callable[[], Awaitable[T]]) -> T:
        """Sends a request that may be repeated, until it succeeds.

        Raises Defer if the next attempt is too far away, ResumableStop when its retry budget is spent, and whatever
        else `request` raises that is no Retry.
        """
        asked = _Request()
        try:
            while True:
                await self.slot(asked)
                if self._in_sequence and self._took_s is not None:
                    self._limiter.foresee(self._took_s)
                began_at = self._context.clock()
                try:
                    result = await request()
                except Retry as error:
                    await self._failed(asked, error, began_at)
                else:
                    self._took_s = self._context.clock() - began_at
                    self._succeeded(asked)
                    return result
        finally:
            if asked in self._failing:  # given up, with its job
                self._left_s = max(self._left_s, self._trouble_s(asked))
                self._failing.discard(asked)

    async def slot(self, asked: _Request | None = None) -> None:
        """Returns when a request may be sent. Raises Defer if the next slot of the limit is far away."""
        try:
            await self._limiter.slot(LONGEST_WAIT_S)
        except MustWait as wait:
            # A wait that the API ordered is part of the trouble, whose reason stays.
            note = self._lease.note if self._lease and self._noted else ""
            if asked and asked in self._failing:
                asked.ordered_s += wait.wait_s
            elif self.trouble_ms:
                self._left_s = self.trouble_ms / 1000 + wait.wait_s
            raise Defer(wait.wait_s, note or f"waiting for {self._api}'s rate limit") from None

    async def failed(self, error: Retry) -> None:
        """Waits as long as the failure of a request asks for that its caller repeats, one at a time.

        Raises ResumableStop if it was one failure too many, Defer as `slot`.
        """
        await self._failed(self._single, error, self._context.clock())

    def succeeded(self) -> None:
        """The request of which `failed` was told has succeeded, and what it did is kept."""
        self._succeeded(self._single)
        self.made_progress()

    def made_progress(self) -> None:
        """What the requests so far were for is done: what an earlier job had to wait for is over."""
        self._inherited_s = self._left_s = 0.0

    async def _failed(self, asked: _Request, error: Retry, began_at: float) -> None:
        settings = self._context.settings
        asked.failures += 1
        if asked.since is None:
            asked.since = began_at
        self._failing.add(asked)
        pause_s = self._context.backoff.pause_s(asked.failures)
        if isinstance(error, WaitUntil):
            pause_s = min(error.wait_s if error.wait_s is not None else pause_s, settings.retry_after_max_s)
        trouble_s = self._trouble_s(asked)
        if trouble_s + pause_s > settings.retry_budget_s:
            asks = f" and asks for {pause_s:.0f} s more" if isinstance(error, WaitUntil) else ""
            raise ResumableStop(
                error.code,
                f"{error}. {self._api} has failed for {trouble_s:.0f} s{asks}, and RETRY_BUDGET_S is "
                f"{settings.retry_budget_s:g}",
            ) from None
        left_s = settings.retry_budget_s - trouble_s
        await self._show_reason(error, left_s)
        if isinstance(error, WaitUntil):
            await self._limiter.penalise(pause_s)
        elif pause_s > LONGEST_WAIT_S:
            asked.ordered_s += pause_s
            raise Defer(pause_s, retry_note(error, left_s))
        else:
            await self._context.sleep(pause_s)

    async def _show_reason(self, error: Retry, left_s: float) -> None:
        """Shows why the request is repeated to those who follow the sync, and logs it when the reason is another."""
        if self._lease is None:
            return
        if not same_reason(self._lease.note, error):
            log.warning("%s: %s", self._lease.grant.sync_id, retry_note(error, left_s))
        self._noted = True
        await self._lease.set_note(retry_note(error, left_s))

    def _succeeded(self, asked: _Request) -> None:
        self._failing.discard(asked)
        if self._lease and self._noted and not self._failing:
            self._noted, self._lease.note = False, ""
        asked.failures, asked.since, asked.ordered_s = 0, None, 0.0

    def _trouble_s(self, asked: _Request) -> float:
        """For how long a request has failed, with what earlier jobs have waited for."""
        own_s = 0.0 if asked.since is None else self._context.clock() - asked.since
        return self._inherited_s + own_s + asked.ordered_s
