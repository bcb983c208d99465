"""Sends the requests of a job to one API: throttled before each one, repeated after a failure, within a budget.

A short wait is waited here. A long one (a `Retry-After`, a full window of the rate limit) is not worth a worker's slot:
`Defer` tells the job to hand its sync over to a later job.

The retry budget belongs to the request that fails. What other requests do meanwhile neither restores nor spends it, so
requests that fail at the same moment each wait once. How long a request had failed when its job ended (`trouble_ms`)
is kept with the sync. The next job does not know which request that was, so it adds this time to every request that
fails, until the job has made progress that is kept (`note_progress`).
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from worker.errors import PersonasError, ResumableStop, Retry, WaitUntil
from worker.jobs.lease import Lease
from worker.metrics.worker_metrics import WorkerMetrics
from worker.models.allowance import Allowance
from worker.store.ratelimit.limiter import MustWait

log = logging.getLogger("segment_personas.jobs")

T = TypeVar("T")

LONGEST_WAIT_S = 5.0
"""The longest wait in a worker's slot, in seconds; for a longer one the job hands its sync over."""

_REQUEST_ID = re.compile(r" \(Request-Id [^)]*\)$")


@dataclass(frozen=True)
class RetryPolicy:
    """The limits and pauses for repeating failed requests.

    Attributes:
        base_s: First pause in seconds. It doubles with each failure, up to `cap_s`.
        cap_s: Longest pause in seconds.
        budget_s: How long one request may fail, in seconds, before the sync fails.
        retry_after_max_s: Longest wait that an API can order, in seconds.
        clock: Returns monotonic seconds.
        sleep: Sleeps for the given number of seconds.
        draw: Returns a random number in [0, 1); each pause is drawn evenly from its upper half.
    """

    base_s: float
    cap_s: float = 10.0
    budget_s: float = 300.0
    retry_after_max_s: float = 3600.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    draw: Callable[[], float] = random.random

    def pause_s(self, failures: int) -> float:
        """Returns the seconds to wait after this many failures in a row (1 or more)."""
        longest_s = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        return longest_s * (0.5 + 0.5 * self.draw())

    def wait_s(self, error: Retry, failures: int) -> float:
        """Returns the seconds to wait after an error: as the API orders, within bounds, or the usual pause."""
        pause_s = self.pause_s(failures)
        if not isinstance(error, WaitUntil):
            return pause_s
        return min(pause_s if error.wait_s is None else error.wait_s, self.retry_after_max_s)


def retry_note(error: Retry, left_s: float) -> str:
    """Describes why a request is repeated, and for how long: `Segment, page 3: 503 busy; retrying, 4 min left`."""
    left = f"{left_s / 60:.0f} min" if left_s >= 90 else f"{max(0.0, left_s):.0f} s"
    return f"{error}; retrying, {left} left"


def same_reason(note: str, error: Retry) -> bool:
    """Returns whether a note shows this error already, perhaps with another request id and less time."""
    return _REQUEST_ID.sub("", note.partition("; retrying, ")[0]) == _REQUEST_ID.sub("", str(error))


class RateLimit(Protocol):
    """The rate limit that `ApiCaller` asks before each request: a `Limiter`, or `NoLimit`."""

    async def wait_for_slot(self, longest_s: float) -> None:
        """Returns when one request may be sent. Raises MustWait if that is more than `longest_s` away."""

    async def penalise(self, wait_s: float) -> None:
        """Holds back every request for this many seconds."""

    def learn_limit(self, allowance: Allowance) -> None:
        """Learns what an answer says about the API's limit."""

    def raise_limit(self, limit: float) -> None:
        """Lets this process use a higher limit."""


class NoLimit:
    """The rate limit of a source without one, such as a warehouse."""

    async def wait_for_slot(self, longest_s: float) -> None:
        """Returns at once."""

    async def penalise(self, wait_s: float) -> None:
        """Does nothing."""

    def learn_limit(self, allowance: Allowance) -> None:
        """Does nothing."""

    def raise_limit(self, limit: float) -> None:
        """Does nothing."""


class Defer(PersonasError):
    """The sync has to wait: the job hands it over to a later one.

    Attributes:
        wait_s: Seconds until the next job may start.
        note: The reason, shown to those who follow the sync.
    """

    def __init__(self, wait_s: float, note: str) -> None:
        super().__init__(note)
        self.wait_s = wait_s
        self.note = note


@dataclass(eq=False)
class _Request:
    """One request with its repetitions.

    Attributes:
        failures: How often it has failed in a row.
        since: When the first attempt that failed began, in seconds of the clock; None if none has failed.
        ordered_s: Seconds that the API has ordered to wait, of which nothing has passed yet.
    """

    failures: int = 0
    since: float | None = None
    ordered_s: float = 0.0


class ApiCaller:
    """Sends the requests of one job to one API.

    Args:
        limiter: The API's rate limit, which all workers share.
        api: Name of the API, for messages.
        policy: How failed requests are repeated.
        trouble_ms: How long a request of an earlier job had failed when that job ended, in milliseconds.
        lease: The job's lease; its note shows those who follow the sync what it waits for.
        metrics: Counts waits and retries.
        long_requests: Whether a request may take hours. Its trouble then begins with its failure, and not with the
            attempt that failed.
    """

    def __init__(
        self,
        limiter: RateLimit,
        api: str,
        policy: RetryPolicy,
        trouble_ms: int = 0,
        *,
        lease: Lease[Any] | None = None,
        metrics: WorkerMetrics | None = None,
        long_requests: bool = False,
    ) -> None:
        self.limiter = limiter
        self.policy = policy
        self.metrics = metrics or WorkerMetrics()
        self._api = api
        self._lease = lease
        self._long_requests = long_requests
        self._inherited_s = trouble_ms / 1000
        self._left_s = 0.0  # trouble of requests that this job has given up
        self._failing: set[_Request] = set()
        self._single = _Request()  # the request that the job repeats itself, see `wait_after_failure`
        self._noted = bool(trouble_ms)  # whether the lease's note is the reason of a failure, also of an earlier job

    @property
    def trouble_ms(self) -> int:
        """The milliseconds for which the request that fails longest has failed; 0 if none fails."""
        worst_s = max(self._inherited_s, self._left_s, *(self._trouble_s(request) for request in self._failing))
        return max(1, int(worst_s * 1000)) if self._failing or worst_s else 0

    @property
    def _label(self) -> str:
        return self._api.lower().removeprefix("the ")

    async def call(self, send: Callable[[], Awaitable[T]]) -> T:
        """Sends a request that may be repeated, until it succeeds.

        Args:
            send: Sends it once; a `Retry` that it raises is answered by another attempt.

        Returns:
            What `send` returns.

        Raises:
            Defer: The next attempt is too far away to be waited for here.
            ResumableStop: The retry budget is spent.
            Exception: Whatever else `send` raises.
        """
        request = _Request()
        try:
            while True:
                await self.wait_for_slot(request)
                began_at = self.policy.clock()
                try:
                    result = await send()
                except Retry as error:
                    await self._failed(request, error, self.policy.clock() if self._long_requests else began_at)
                else:
                    self._succeeded(request)
                    return result
        finally:
            if request in self._failing:  # given up, with its job
                self._left_s = max(self._left_s, self._trouble_s(request))
                self._failing.discard(request)

    async def wait_for_slot(self, request: _Request | None = None) -> None:
        """Waits until a request may be sent. Raises Defer if the rate limit has no slot soon."""
        asked_at = self.policy.clock()
        try:
            await self.limiter.wait_for_slot(LONGEST_WAIT_S)
        except MustWait as wait:
            self.metrics.count_deferral(self._label)
            # A wait that the API ordered is part of the trouble, so the note keeps naming its reason.
            note = self._lease.note if self._lease and self._noted else ""
            if request and request in self._failing:
                request.ordered_s += wait.wait_s
            elif self.trouble_ms:
                self._left_s = self.trouble_ms / 1000 + wait.wait_s
            raise Defer(wait.wait_s, note or f"waiting for {self._api}'s rate limit") from None
        self.metrics.count_limiter_wait(self._label, self.policy.clock() - asked_at)

    async def penalise(self, wait_s: float) -> None:
        """Lets every worker wait for this many seconds, within bounds, before its next request to this API."""
        await self.limiter.penalise(min(wait_s, self.policy.retry_after_max_s))

    async def wait_after_failure(self, error: Retry) -> None:
        """Waits after a failure of the one request that the job repeats itself.

        Raises:
            Defer: The next attempt is too far away to be waited for here.
            ResumableStop: The retry budget is spent.
        """
        await self._failed(self._single, error, self.policy.clock())

    def note_success(self) -> None:
        """The request that `wait_after_failure` was called for has succeeded, and its result is kept."""
        self._succeeded(self._single)
        self.note_progress()

    def note_progress(self) -> None:
        """The result of the requests so far is kept: the trouble of earlier jobs is over."""
        self._inherited_s = self._left_s = 0.0

    async def _failed(self, request: _Request, error: Retry, began_at: float) -> None:
        budget_s = self.policy.budget_s
        is_ordered = isinstance(error, WaitUntil)
        request.failures += 1
        if request.since is None:
            request.since = began_at
        self._failing.add(request)
        pause_s = self.policy.wait_s(error, request.failures)
        trouble_s = self._trouble_s(request)
        if trouble_s + pause_s > budget_s:
            more = f" and asks for {pause_s:.0f} s more" if is_ordered else ""
            raise ResumableStop(
                error.code,
                f"{error}. {self._api} has failed for {trouble_s:.0f} s{more}, and RETRY_BUDGET_S is {budget_s:g}",
                hint=error.hint,
            ) from None
        left_s = budget_s - trouble_s
        self.metrics.count_retry(self._label, error.code)
        await self._show_reason(error, left_s)
        if is_ordered:
            await self.limiter.penalise(pause_s)
        elif pause_s > LONGEST_WAIT_S:
            request.ordered_s += pause_s
            raise Defer(pause_s, retry_note(error, left_s))
        else:
            await self.policy.sleep(pause_s)

    async def _show_reason(self, error: Retry, left_s: float) -> None:
        """Shows those who follow the sync why a request is repeated; logs the reason when it changes."""
        if self._lease is None:
            return
        if not same_reason(self._lease.note, error):
            log.warning("%s: %s", self._lease.grant.sync_id, retry_note(error, left_s))
        self._noted = True
        await self._lease.set_note(retry_note(error, left_s))

    def _succeeded(self, request: _Request) -> None:
        self._failing.discard(request)
        if self._lease and self._noted and not self._failing:
            self._noted, self._lease.note = False, ""
        request.failures, request.since, request.ordered_s = 0, None, 0.0

    def _trouble_s(self, request: _Request) -> float:
        """Returns how long a request has failed, in seconds, with the time that earlier jobs have waited."""
        own_s = 0.0 if request.since is None else self.policy.clock() - request.since
        return self._inherited_s + own_s + request.ordered_s
