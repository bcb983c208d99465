"""The event stream of a sync: each change of it, until it has ended.

An event is the whole sync, so a client that misses one misses nothing. Its id is the sync's version: a client that
comes back with `Last-Event-ID` gets the next event when there is something new.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from producer.api.config import ApiLimits
from producer.api.metrics import ApiMetrics
from producer.api.openapi.operation import Answer, Operation, Parameter
from producer.api.problems import Problem
from producer.api.routes.syncs import SYNC_PARAMETER, sync_id_of
from producer.api.sync_watcher import SyncWatcher, WatchedSync
from producer.client import SyncClient

RECONNECT_MS = 2000
_TICK_S = 1.0
"""Seconds between two checks whether the client is connected and the server is not stopping."""


class SyncEventRoutes:
    """The route, and the streams that are open.

    Args:
        client: Starts and reads syncs.
        watcher: Looks at the syncs.
        metrics: Counts the streams.
        limits: How many streams there may be, and how often one is heard of.
    """

    def __init__(self, client: SyncClient, watcher: SyncWatcher, metrics: ApiMetrics, limits: ApiLimits) -> None:
        self._client = client
        self._watcher = watcher
        self._metrics = metrics
        self._limits = limits
        self._open = 0
        self._stopping = False

    def stop(self) -> None:
        """Ends every stream with a comment, and refuses new ones."""
        self._stopping = True
        self._watcher.wake()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/syncs/{id}/events"""
        sync = await self._client.get(sync_id_of(request))
        seen = request.headers.get("Last-Event-ID", "")
        if sync.state.is_final and seen == sync.version:
            return web.Response(status=204)  # tells a browser not to connect again
        if self._stopping:
            raise Problem("stopping", "The server stops.")
        if self._open >= self._limits.streams:
            raise Problem("too_many_streams", f"{self._open:,} event streams are open already.")
        self._open += 1
        self._metrics.streams.set(self._open)
        try:
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            )
            with self._watcher.watch(sync.id) as watched:
                if watched.update is None:
                    watched.publish(self._watcher.update(sync, await self._client.now()))
                await response.prepare(request)
                try:
                    await self._stream(request, response, watched, seen)
                except TimeoutError:  # the client takes nothing: a problem document would be part of the stream
                    if request.transport is not None:
                        request.transport.abort()
        finally:
            self._open -= 1
            self._metrics.streams.set(self._open)
        return response

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, watched: WatchedSync, seen: str
    ) -> None:
        clock = asyncio.get_running_loop().time
        await self._write(response, retry_frame(RECONNECT_MS))
        last_s = clock()
        while request.transport is not None and not request.transport.is_closing():
            update, change = watched.update, watched.next_change()
            if update and (update.version != seen or update.ended):
                seen = update.version
                await self._write(response, event_frame("end" if update.ended else "sync", seen, update.document))
                if update.ended:
                    return
                last_s = clock()
            if self._stopping or watched.gone:
                await self._write(response, comment_frame("the server stops" if self._stopping else "gone"))
                return
            if clock() - last_s >= self._limits.heartbeat_s:
                await self._write(response, comment_frame("heartbeat"))
                last_s = clock()
            await asyncio.wait({change}, timeout=min(_TICK_S, self._limits.heartbeat_s))

    async def _write(self, response: web.StreamResponse, frame: bytes) -> None:
        async with asyncio.timeout(self._limits.request_s):
            await response.write(frame)

    def operations(self) -> list[Operation]:
        """Returns what the router and the OpenAPI document need."""
        return [
            Operation(
                "GET",
                "/v1/syncs/{id}/events",
                self.events,
                "streamSync",
                "Follow a sync by server-sent events",
                {
                    200: Answer(
                        "A stream of events. `sync`: the sync has changed; `end`: it has ended, and the stream ends",
                        media_type="text/event-stream",
                    ),
                    204: Answer("The sync has ended, and `Last-Event-ID` is its last event"),
                },
                scope="read",
                description="The data of each event is the whole sync, as of `GET /v1/syncs/{id}`. A comment comes "
                f"every {self._limits.heartbeat_s:g} seconds without an event. A client that comes back with "
                "`Last-Event-ID` gets the next event when the sync has changed since.",
                problems=("sync_not_found", "newer_version", "sync_unreadable", "too_many_streams", "stopping"),
                parameters=(
                    SYNC_PARAMETER,
                    Parameter(
                        "Last-Event-ID", "header", "The id of the last event that was received", {"type": "string"}
                    ),
                ),
                streams=True,
            )
        ]


def event_frame(name: str, event_id: str, data: str) -> bytes:
    """Returns an event as a frame of the stream.

    Args:
        name: Type of the event, without line ends.
        event_id: Id of the event, without line ends.
        data: Text of one or more lines.
    """
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"id: {event_id}\nevent: {name}\n{lines}\n".encode()


def comment_frame(text: str) -> bytes:
    """Returns a comment, which clients ignore.

    Args:
        text: One line.
    """
    return f": {text}\n\n".encode()


def retry_frame(wait_ms: int) -> bytes:
    """Returns how long a client waits before it connects again, in milliseconds."""
    return f"retry: {wait_ms}\n\n".encode()
