"""Watches the syncs that are streamed: one check for all of them, and one document for all streams of a sync."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from producer.client import SyncClient
from producer.errors import SyncNotFound
from worker.errors import PersonasError
from worker.models.sync import Sync
from worker.models.versions import SyncUnreadable

log = logging.getLogger("segment_personas.api")


@dataclass(frozen=True)
class SyncUpdate:
    """A sync as it was looked at.

    Attributes:
        version: `Sync.version`.
        ended: Whether it has ended.
        document: Its JSON document.
    """

    version: str
    ended: bool
    document: str


@dataclass
class WatchedSync:
    """A sync while it is streamed.

    Attributes:
        update: As last read; None before the first check.
        gone: Why the sync can no longer be read; empty while it can.
        streams: How many streams show it.
    """

    update: SyncUpdate | None = None
    gone: str = ""
    streams: int = 0
    _waiting: asyncio.Future[None] | None = None

    def next_change(self) -> asyncio.Future[None]:
        """Is done at the next change. Streams share it, so it must not be cancelled."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        return self._waiting

    def publish(self, update: SyncUpdate) -> None:
        """Shows the streams what is new."""
        self.update = update
        self.wake()

    def leave(self, why: str) -> None:
        """Ends the streams."""
        self.gone = why
        self.wake()

    def wake(self) -> None:
        """Wakes the streams."""
        if self._waiting is not None:
            self._waiting.set_result(None)
            self._waiting = None


class SyncWatcher:
    """Looks at all watched syncs every `every_s` seconds while there are any.

    Args:
        client: Reads the syncs.
        every_s: Seconds between two checks.
        render: Makes the JSON document of a sync, with the time by the clock of Redis.
    """

    def __init__(self, client: SyncClient, every_s: float, render: Callable[[Sync, float], str]) -> None:
        self._client = client
        self._every_s = every_s
        self._render = render
        self._watched: dict[str, WatchedSync] = {}
        self._some = asyncio.Event()

    @contextlib.contextmanager
    def watch(self, sync_id: str) -> Iterator[WatchedSync]:
        """Watches a sync while the block runs."""
        watched = self._watched.setdefault(sync_id, WatchedSync())
        watched.streams += 1
        self._some.set()
        try:
            yield watched
        finally:
            watched.streams -= 1
            if not watched.streams and self._watched.get(sync_id) is watched:
                del self._watched[sync_id]

    def wake(self) -> None:
        """Lets all streams check whether they must end."""
        for watched in self._watched.values():
            watched.wake()

    async def run(self) -> None:
        """Looks until cancelled. While Redis is away, nothing is published."""
        while True:
            if not self._watched:
                self._some.clear()
                await self._some.wait()
            try:
                await self._look()
            except PersonasError as error:
                log.info("event streams wait: %s", error)
            except Exception:  # one sync that cannot be shown must not end all streams
                log.exception("event streams wait")
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        watched = dict(self._watched)
        versions = await self._client.versions(list(watched))
        for sync_id, one in watched.items():
            version = versions.get(sync_id)
            if version is None:
                one.leave("Redis does not keep the sync any more")
            elif one.update is None or version != one.update.version:
                await self._show(sync_id, one)

    async def _show(self, sync_id: str, watched: WatchedSync) -> None:
        try:
            sync = await self._client.get(sync_id)
        except (SyncNotFound, SyncUnreadable) as error:
            watched.leave(str(error))
            return
        watched.publish(self.update(sync, await self._client.now()))

    def update(self, sync: Sync, now: float) -> SyncUpdate:
        """Returns what streams show of a sync.

        Args:
            sync: The sync, as it was read last.
            now: Unix seconds by the clock of Redis.
        """
        return SyncUpdate(sync.version, sync.state.is_final, self._render(sync, now))
