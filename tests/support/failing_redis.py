"""A Redis that fails as a test says before it answers."""

from __future__ import annotations

import asyncio

import redis.exceptions as redis_errors

from tests.support.clocks.virtual_time import now

AWAY = redis_errors.ConnectionError("Error 111 connecting to 127.0.0.1:1. Connection refused.")


class FailingRedis:
    """Fails as told before it answers: with an error, or by hanging for None. for_ever: the first failure stays."""

    def __init__(self, *failures: Exception | None, for_ever: bool = False) -> None:
        self.failures = list(failures)
        self.for_ever = for_ever
        self.attempts: list[float] = []

    async def ask(self) -> str:
        self.attempts.append(now())
        if self.failures:
            failure = self.failures[0] if self.for_ever else self.failures.pop(0)
            if failure:
                raise failure
            await asyncio.get_running_loop().create_future()
        return "answer"
