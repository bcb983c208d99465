"""How long a command waits for a Redis that is away, and which errors mean that it is.

arq and redis-py give up at the first refused connection. Here a command is repeated while Redis cannot be reached,
hangs, loads, is out of memory or takes no writes.
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
"""What an attempt may take at least, however late it is: a Redis that is well answers much sooner."""

_AWAY = (
    *(redis_errors.ConnectionError, redis_errors.TimeoutError, OSError, asyncio.TimeoutError),
    *(redis_errors.OutOfMemoryError, redis_errors.ReadOnlyError, redis_errors.ExecAbortError),
    redis_errors.InvalidResponse,  # a wrong port, or a proxy that answers while Redis is away
)
_LATER = re.compile(
    r"(^|: \(?['\"]?-?)(OOM|READONLY|LOADING|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|BUSY|UNBLOCKED)\b"
)
"""First words of answers that mean: later. Redis 6 puts its own words before those of a script, redis-py before those
of a pipeline."""
_QUOTA = re.compile(
    r"max (daily )?requests? limit|max requests per|bandwidth limit|max number of clients", re.IGNORECASE
)
"""Words of a provider whose quota is used up: it answers again when the quota is renewed or raised."""
_REFUSED = (
    *(redis_errors.AuthenticationError, redis_errors.AuthenticationWrongNumberOfArgsError),
    *(redis_errors.AuthorizationError, redis_errors.NoPermissionError),
)
_WRONG_URL = re.compile(
    r"DENIED|Protocol error: unauthenticated|DB index is out of range|invalid DB index|SELECT is not allowed"
)
"""What Redis says without an error class of its own: protected mode, a long command without the password that it needs,
a database that it does not have."""


def is_refusal(error: BaseException) -> bool:
    """Whether Redis refuses this client for good: user, password, rights or database are wrong."""
    if isinstance(error, redis_errors.ResponseError) and _WRONG_URL.match(str(error)):
        return True
    return isinstance(error, _REFUSED)


def is_outage(error: BaseException) -> bool:
    """Whether Redis may answer this very command later."""
    if is_refusal(error):
        return False
    if isinstance(error, _AWAY):
        return True
    if not isinstance(error, redis_errors.ResponseError):
        return False
    return bool(_LATER.search(str(error)) or _QUOTA.search(str(error)))


def describe_error(error: BaseException) -> str:
    """An error in words that fit into a sentence: one line, without the command that it happened to."""
    text = str(error).rpartition(" of pipeline caused error: ")[2] or type(error).__name__
    text = text.splitlines()[0][:200].rstrip(".")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its TLS certificate is not accepted ({text})"
    return f"something else answers in its place ({text})" if isinstance(error, redis_errors.InvalidResponse) else text


def _advice(error: BaseException) -> str:
    text = str(error)
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        return "Write the host in REDIS_URL as its certificate names it, or add ssl_check_hostname=false"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "Set ssl_ca_certs in REDIS_URL to the file of the authority that has signed it"
    if _QUOTA.search(text):
        return "Raise the quota at the provider of Redis, or wait until it is renewed"
    if isinstance(error, redis_errors.ReadOnlyError) or "READONLY" in text:
        return "It is a read-only replica: name its primary in REDIS_URL"
    return "Check REDIS_URL, and that Redis runs"


class Outage:
    """How long, and in what rhythm, a command waits for Redis to come back. Shared by all commands of one client."""

    def __init__(self, max_wait_s: float) -> None:
        self._max_wait_s = max_wait_s
        self._deadline = math.inf
        self._attempts: set[asyncio.Timeout] = set()
        self._logged = False

    def stop_waiting(self, within_s: float) -> None:
        """From now on no command waits for Redis beyond `within_s` seconds from this moment.

        A command that begins later still gets its one attempt, of `LAST_TRY_S` seconds.
        """
        now = asyncio.get_running_loop().time()
        self._deadline = min(self._deadline, now + within_s)
        latest = max(self._deadline, now + LAST_TRY_S)
        for bound in self._attempts:
            if not bound.expired() and (bound.when() or math.inf) > latest:
                bound.reschedule(latest)

    async def wait_out(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Repeats `attempt` while Redis is away.

        Raises StoreUnavailable when patience ends, StoreUnusable if Redis refuses this client.
        """
        task = asyncio.current_task()
        if task and task.cancelling():
            # Someone who cleans up. Before Python 3.11.3 any time-out in a task that was cancelled once is one more
            # cancellation, and redis-py begins each command with a time-out of 0 seconds: so not in that task.
            return await asyncio.create_task(self.wait_out(attempt))
        clock = asyncio.get_running_loop().time
        began_at = clock()
        pause = 0.02
        while True:
            try:
                try:
                    result = await self._bounded(attempt, began_at + self._max_wait_s)
                finally:
                    if task and task.cancelling():
                        # Until Python 3.12 the `wait_for` in redis-py may swallow a cancellation, or make a failure of
                        # it that would be waited out: here it is again. Unless it is still to come, as that of a Ctrl-C
                        # in the middle of a step: the clean-up must not meet a second cancellation.
                        await asyncio.sleep(0)
                        raise asyncio.CancelledError
            except Exception as error:
                if is_refusal(error):
                    raise StoreUnusable(
                        f"Redis refuses the user, password or database of REDIS_URL: {describe_error(error)}"
                    ) from error
                if not is_outage(error):
                    raise
                if clock() + pause > min(began_at + self._max_wait_s, self._deadline):
                    raise StoreUnavailable(
                        f"Redis does not answer: {describe_error(error)}",
                        hint=f"{_advice(error)}.",
                        lasting=isinstance(error, redis_errors.InvalidResponse),
                    ) from error
                if not self._logged and clock() - began_at > 0.5 and self._max_wait_s == math.inf:
                    self._logged = True
                    log.warning("Redis is away (%s); waiting for it", describe_error(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, 0.5)
            else:
                if self._logged:
                    self._logged = False
                    log.warning("Redis is back")
                return result

    async def _bounded(self, attempt: Callable[[], Awaitable[T]], ends_at: float) -> T:
        """One attempt. It may have to wait for a connection behind others that hang, so it has an end of its own."""
        latest = max(min(ends_at, self._deadline), asyncio.get_running_loop().time() + LAST_TRY_S)
        async with asyncio.timeout_at(None if latest == math.inf else latest) as bound:
            self._attempts.add(bound)
            try:
                return await attempt()
            finally:
                self._attempts.discard(bound)
