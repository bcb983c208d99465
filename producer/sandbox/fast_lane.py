"""The fast lane of a `prebuilt` sandbox: a plain request for a page is answered before aiohttp sees it.

A page is a ring entry with a cursor behind it; parsing the request in full and building a response object
would cost several times as much as that. Whatever is not exactly such a request, and every request while
faults, a limit or jitter are in force, goes to aiohttp's own protocol on the same connection. It relies on clients
that wait for an answer before they send the next request on a connection, as all of ours do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from producer.sandbox.segment.inline_api import Inline
from producer.sandbox.segment.requests import Target, Window, target
from producer.sandbox.spaces.space import SpaceSpec
from producer.sandbox.state import State

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nRequest-Id: %s\r\n\r\n"


class FastLane:
    """What all connections of a sandbox share: how to read and answer a request for a page."""

    def __init__(self, state: State, inline: Inline, slow: Callable[[], asyncio.Protocol]) -> None:
        self.state = state
        self.slow = slow
        self.connections: set[asyncio.Transport] = set()
        self._inline = inline

    def __call__(self) -> asyncio.Protocol:
        """A protocol for a new connection."""
        return _Connection(self)

    def read(self, data: bytes) -> tuple[Target, SpaceSpec, Window] | None:
        """The page that is asked for, or None if the request is for aiohttp."""
        options = self.state.options
        if not data.startswith(b"GET /spaces/") or not data.endswith(b"\r\n\r\n"):
            return None
        if self.state.faults or options.segment_limit is not None or options.jitter_s:
            return None
        if data.count(b"\r\n\r\n") != 1:
            return None
        if options.segment_token is not None:
            header = b"\r\nAuthorization: Bearer %s\r\n" % options.segment_token.encode()
            if header not in data:
                return None
        line = data[4 : data.index(b"\r\n")].removesuffix(b" HTTP/1.1").decode("latin-1")
        if any(mark in line for mark in "%+ "):
            return None
        path, _, search = line.partition("?")
        query = dict(pair.split("=", 1) for pair in search.split("&") if "=" in pair)
        asked = target(path, query)
        spec = None if asked is None else options.space(asked.space_id)
        if asked is None or spec is None:
            return None
        window = self._inline.window(asked, query)
        return None if isinstance(window, web.Response) else (asked, spec, window)

    def latency(self, asked: Target) -> float:
        """Seconds from the request's arrival to the answer."""
        return self.state.options.segment_latency_s(with_traits=asked.route == "page")

    def page(self, asked: Target, spec: SpaceSpec, window: Window) -> list[bytes]:
        """The page, as it is written."""
        body = self._inline.body(asked, spec, window, None)
        return [_ANSWER % (len(body), self.state.request_id().encode()), body]

    def answer(self, transport: asyncio.Transport, at: float, asked: Target, page: list[bytes]) -> None:
        """Writes the page and notes it in the journal."""
        transport.writelines(page)
        self.state.journal.answer(at, "segment." + asked.route, asked.space_id, 200)

    def close(self) -> None:
        """Cuts every connection."""
        for transport in list(self.connections):
            transport.abort()


class _Connection(asyncio.Protocol):
    """One connection; aiohttp's protocol is made for it with the first request that needs it."""

    def __init__(self, lane: FastLane) -> None:
        self._lane = lane
        self._slow: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self._transport)

    def data_received(self, data: bytes) -> None:
        lane, loop = self._lane, asyncio.get_running_loop()
        arrived = loop.time()
        read = lane.read(data)
        if read is None:
            if self._slow is None:
                self._slow = lane.slow()
                self._slow.connection_made(self._transport)
            self._slow.data_received(data)
            return
        asked, spec, window = read
        at = lane.state.journal.arrive("segment." + asked.route)
        latency, page = lane.latency(asked), lane.page(asked, spec, window)
        if latency:
            self._timer = loop.call_at(arrived + latency, lane.answer, self._transport, at, asked, page)
        else:
            lane.answer(self._transport, at, asked, page)

    def eof_received(self) -> bool | None:
        return None if self._slow is None else self._slow.eof_received()

    def pause_writing(self) -> None:
        if self._slow is not None:
            self._slow.pause_writing()

    def resume_writing(self) -> None:
        if self._slow is not None:
            self._slow.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._lane.connections.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        if self._slow is not None:
            self._slow.connection_lost(error)
