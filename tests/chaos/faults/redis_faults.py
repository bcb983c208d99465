"""Faults of Redis: restarts, an unclean end, a power cut, and a server that hangs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time

from tests.support.servers.redis_server import RedisServer


class RedisFaults:
    """Faults of one server.

    Args:
        redis: The server.
        chance: Decides what is random.

    Attributes:
        cuts: How many power cuts there were.
        kills: How often the server was killed. While the disk is slow, Redis answers up to 2 s before it writes
            (`appendfsync everysec`), so a kill may take what was answered last.
    """

    def __init__(self, redis: RedisServer, chance: random.Random) -> None:
        self._redis = redis
        self._random = chance
        self._aof_sizes: list[tuple[float, int]] = []
        self._kept = 0
        self.cuts = 0
        self.kills = 0

    async def restart(self) -> None:
        """A clean shutdown, a pause, and a new start."""
        await asyncio.to_thread(self._redis.stop)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self._redis.start)

    async def kill(self) -> None:
        """`kill -9`; what was written stays."""
        self.kills += 1
        await asyncio.to_thread(self._redis.kill)
        await asyncio.to_thread(self._redis.start)

    async def power_cut(self) -> None:
        """Redis ends, and up to two seconds of its append-only file with it, cut at a random byte."""
        self.cuts += 1
        self.note_aof_size()
        await asyncio.to_thread(self._redis.kill)
        path = self._redis.append_only_file()
        now, size = time.monotonic(), path.stat().st_size
        safe = max((old for at, old in self._aof_sizes if now - at >= 2), default=self._kept)
        if safe < size:
            with path.open("r+b") as file:
                file.truncate(self._random.randint(safe, size))
        self._aof_sizes.clear()
        await asyncio.to_thread(self._redis.start)

    def keep_written(self) -> None:
        """Lets what is written by now survive power cuts."""
        with contextlib.suppress(OSError, ValueError):
            self._kept = self._redis.append_only_file().stat().st_size

    def note_aof_size(self) -> None:
        """Notes the size of the append-only file. Call it often: a power cut leaves what was in it 2 s before."""
        with contextlib.suppress(OSError, ValueError):
            self._aof_sizes.append((time.monotonic(), self._redis.append_only_file().stat().st_size))

    async def freeze(self) -> None:
        """Nothing is answered for a while."""
        self._redis.pause()
        await asyncio.sleep(self._random.uniform(0.2, 2))
        self._redis.go_on()
