"""Patience with an API: the throttle before each request, retries after a failure, and an end to both.

A short wait is waited here; a long one (a `Retry-After`, a full window) is not worth a worker's slot: Defer tells the
job to hand its sync over to a later one. How long an API has failed by then travels along, so that the budget is one
for all jobs of the sync.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from worker.errors import PersonasError, ResumableStop, Retry, WaitUntil
from worker.jobs.context import WorkerContext
from worker.jobs.lease import Lease
from worker.store import Limiter
from worker.store.limiter import MustWait

T = TypeVar("T")

LONGEST_WAIT_S = 5.0
"""What a job waits for in its worker's slot; beyond it, it hands its sync over."""


class Defer(PersonasError):
    """The job should go on after `wait_s` seconds, in another slot."""

    def __init__(self, wait_s: float, note: str) -> None:
        super().__init__(note)
        self.wait_s = wait_s
        self.note = note


class Patience:
    """Requests of one job to one API. trouble_ms: for how long that API has failed already.

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
        self._failures = 0
        self._before_s = trouble_ms / 1000
        self._since = context.clock() if trouble_ms else None

    @property
    def trouble_ms(self) -> int:
        """For how long the API has failed by now; 0 if its last answer was good."""
        return 0 if self._since is None else max(1, int((self._before_s + self._context.clock() - self._since) * 1000))

    async def call(self, request: Callable[[], Awaitable[T]]) -> T:
        """Sends a request that may be repeated, until it succeeds.

        Raises Defer if the next attempt is too far away, ResumableStop when the retry budget is spent, and whatever
        else `request` raises that is no Retry.
        """
        while True:
            await self.slot()
            if self._in_sequence and self._took_s is not None:
                self._limiter.foresee(self._took_s)
            began_at = self._context.clock()
            try:
                result = await request()
            except Retry as error:
                await self.failed(error)
            else:
                self._took_s = self._context.clock() - began_at
                self.succeeded()
                return result

    async def slot(self) -> None:
        """Returns when a request may be sent. Raises Defer if the next slot of the limit is far away."""
        try:
            await self._limiter.slot(LONGEST_WAIT_S)
        except MustWait as wait:
            if self._since is not None:
                self._before_s += wait.wait_s  # the wait that it ordered is part of the trouble
            raise Defer(wait.wait_s, f"waiting for {self._api}'s rate limit") from None

    async def failed(self, error: Retry) -> None:
        """Waits as long as this failure asks for. Raises ResumableStop if it was one too many, Defer as `slot`."""
        settings = self._context.settings
        self._failures += 1
        if self._since is None:
            self._since = self._context.clock()
        pause_s = self._context.backoff.pause_s(self._failures)
        if isinstance(error, WaitUntil):
            pause_s = min(error.wait_s if error.wait_s is not None else pause_s, settings.retry_after_max_s)
        if self.trouble_ms / 1000 + pause_s > settings.retry_budget_s:
            asks = f" and asks for {pause_s:.0f} s more" if isinstance(error, WaitUntil) else ""
            raise ResumableStop(
                error.code,
                f"{error}. {self._api} has failed for {self.trouble_ms / 1000:.0f} s{asks}, and RETRY_BUDGET_S is "
                f"{settings.retry_budget_s:g}; resume the sync when it is well again",
            ) from None
        if self._lease:
            self._lease.note = f"{error}; trying again"
        if isinstance(error, WaitUntil):
            await self._limiter.penalise(pause_s)
        elif pause_s > LONGEST_WAIT_S:
            self._before_s += pause_s
            raise Defer(pause_s, f"waiting for {self._api}: {error}")
        else:
            await self._context.sleep(pause_s)

    def succeeded(self) -> None:
        """The API is well: the budget is whole again."""
        if self._lease and self._failures:
            self._lease.note = ""
        self._failures, self._before_s, self._since = 0, 0.0, None
