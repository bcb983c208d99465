"""Repeats commands while Redis is away, and classifies the errors of redis-py.

arq and redis-py give up at the first refused connection. Here a command is repeated while Redis cannot be reached,
hangs, loads its data, is out of memory or refuses writes.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import redis.exceptions as redis_errors

from worker.errors import StoreUnavailable, StoreUnusable

log = logging.getLogger("segment_personas.store")

T = TypeVar("T")

LAST_TRY_S = 1.0
"""Least time-out of an attempt in seconds, also after the last moment: a healthy Redis answers much sooner."""

_AWAY = (
    *(redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, asyncio.TimeoutError),
    *(redis_errors.OutOfMemoryError, redis_errors.ReadOnlyError, redis_errors.ExecAbortError),
    redis_errors.InvalidResponse,  # a wrong port, or a proxy that answers while Redis is away
)
_LATER = re.compile(
    r"(^|: \(?['\"]?-?)(OOM|READONLY|LOADING|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|UNBLOCKED)\b"
)
"""First words of error answers that are temporary. Redis 6 puts text before the error of a script, redis-py before that
of a pipeline."""
_QUOTA = re.compile(
    r"max (daily )?requests? limit|max requests per|bandwidth limit|max number of clients", re.IGNORECASE
)
"""Texts of providers whose quota is used up. They answer again when the quota is renewed or raised."""
_REFUSED = (
    *(redis_errors.AuthenticationError, redis_errors.AuthenticationWrongNumberOfArgsError),
    *(redis_errors.AuthorizationError, redis_errors.NoPermissionError),
)
_WRONG_URL = re.compile(
    r"DENIED|Protocol error: unauthenticated|DB index is out of range|invalid DB index|SELECT is not allowed"
)
"""Refusals without an error class in redis-py: protected mode, a command before the password, an unknown database."""


def is_refusal(error: BaseException) -> bool:
    """Returns whether Redis refuses this client permanently: user, password, rights or database are wrong."""
    if isinstance(error, redis_errors.ResponseError) and _WRONG_URL.match(str(error)):
        return True
    return isinstance(error, _REFUSED)


def is_outage(error: BaseException) -> bool:
    """Returns whether the same command may succeed later."""
    if is_refusal(error):
        return False
    if isinstance(error, _AWAY):
        return True
    if not isinstance(error, redis_errors.ResponseError):
        return False
    return bool(_LATER.search(str(error)) or _QUOTA.search(str(error)))


def describe_error(error: BaseException) -> str:
    """Describes an error in one line that fits into a sentence, without the command."""
    text = str(error).rpartition(" of pipeline caused error: ")[2] or type(error).__name__
    text = text.splitlines()[0][:200].rstrip(".")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its TLS certificate is not accepted ({text})"
    return (
        f"the server that answers is not a Redis ({text})" if isinstance(error, redis_errors.InvalidResponse) else text
    )


def _advice(error: BaseException) -> str:
    """Returns what to do about an error whose cause is known; empty if it is not."""
    text = str(error)
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "Write the host in REDIS_URL as its certificate names it, or add ssl_check_hostname=false"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "Set ssl_ca_certs in REDIS_URL to the file of the authority that has signed it"
    if _QUOTA.search(text):
        return "Raise the quota at the provider of Redis, or wait until it is renewed"
    if isinstance(error, redis_errors.ReadOnlyError) or "READONLY" in text:
        return "It is a read-only replica: name its primary in REDIS_URL"
    if "MISCONF" in text:
        return "It cannot write to its disk: free some space there"
    return ""


class Outage:
    """Repeats the commands of one client while Redis is away.

    Args:
        max_wait_s: Seconds for which a command is repeated.
        advice: Returns what to do about a Redis that does not answer; None: check `REDIS_URL`.

    Attributes:
        repeats: How often a command was repeated. Redis may have run it before.
    """

    def __init__(self, max_wait_s: float, advice: Callable[[], str] | None = None) -> None:
        self._max_wait_s = max_wait_s
        self._advice = advice
        self._deadline = math.inf
        self._attempts: set[asyncio.Timeout] = set()
        self._logged = False
        self.repeats = 0

    def stop_waiting(self, within_s: float) -> None:
        """Stops repeating commands `within_s` seconds from now.

        A command that begins later gets one attempt, of at most `LAST_TRY_S` seconds.
        """
        now = asyncio.get_running_loop().time()
        self._deadline = min(self._deadline, now + within_s)
        latest = max(self._deadline, now + LAST_TRY_S)
        for bound in self._attempts:
            if not bound.expired() and (bound.when() or math.inf) > latest:
                bound.reschedule(latest)

    async def wait_out(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` while Redis is away.

        Raises:
            StoreUnavailable: Redis is away for longer than `max_wait_s`, or waiting was stopped.
            StoreUnusable: Redis refuses this client.
            Exception: Any other error of `attempt`.
        """
        task = asyncio.current_task()
        if task and task.cancelling():
            # The task cleans up after its cancellation. Before Python 3.11.3 a time-out in such a task counts as
            # another cancellation, and redis-py begins each command with a time-out of 0 seconds. Use another task.
            return await asyncio.create_task(self.wait_out(attempt))
        clock = asyncio.get_running_loop().time
        began_at = clock()
        pause = 0.02
        known: Exception | None = None  # the last failure that says what is wrong
        while True:
            try:
                try:
                    result = await self._bounded(attempt, began_at + self._max_wait_s)
                finally:
                    if task and task.cancelling():
                        # Until Python 3.12 `wait_for` in redis-py may swallow a cancellation, or turn it into a
                        # failure that would be repeated. Raise it again here. If it is still to be delivered, as after
                        # Ctrl-C in the middle of a step, the sleep raises it, so that the clean-up meets only one.
                        await asyncio.sleep(0)
                        raise asyncio.CancelledError
            except Exception as error:
                if is_refusal(error):
                    raise StoreUnusable(
                        f"Redis refuses the user, password or database of REDIS_URL: {describe_error(error)}"
                    ) from error
                if not is_outage(error):
                    raise
                if known is None or str(error):  # an attempt that was cut short has no text
                    known = error
                if clock() + pause > min(began_at + self._max_wait_s, self._deadline):
                    raise StoreUnavailable(
                        f"Redis does not answer: {describe_error(known)}",
                        hint=self._advise(known),
                        lasting=isinstance(known, redis_errors.InvalidResponse),
                    ) from error
                if not self._logged and clock() - began_at > 0.5 and self._max_wait_s == math.inf:
                    self._logged = True
                    log.warning(
                        "Redis is not available (%s); waiting for it. %s", describe_error(error), self._advise(error)
                    )
                self.repeats += 1
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
            else:
                # A Redis that takes no writes still answers other commands.
                if self._logged and known is not None:
                    self._logged = False
                    log.warning("Redis is available again")
                return result

    def _advise(self, error: BaseException) -> str:
        found = _advice(error)
        if not found:
            found = self._advice() if self._advice else "Check REDIS_URL, and that Redis runs"
        return f"{found}."

    async def _bounded(self, attempt: Callable[[], Awaitable[T]], ends_at: float) -> T:
        """Runs one attempt with a time-out, because it may have to wait for a connection behind others that hang."""
        latest = max(min(ends_at, self._deadline), asyncio.get_running_loop().time() + LAST_TRY_S)
        async with asyncio.timeout_at(None if latest == math.inf else latest) as bound:
            self._attempts.add(bound)
            try:
                return await attempt()
            finally:
                self._attempts.discard(bound)
