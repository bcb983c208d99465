"""The fast path of a `PrebuiltSandbox`: a plain request for a page is answered before aiohttp sees it.

A page is a ring entry followed by a cursor; to parse the request in full and build a response object would cost several
times as much. All other requests, and all requests while faults, a limit or jitter are in force, go to aiohttp's own
protocol on the same connection. The fast path relies on clients that wait for an answer before they send the next
request on a connection, as this program's client does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from producer.sandbox.segment.inline_api import InlineApi
from producer.sandbox.segment.requests import Target, Window, parse_target
from producer.sandbox.spaces.space import SpaceSpec
from producer.sandbox.state import SandboxState

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nRequest-Id: %s\r\n\r\n"


class FastPath:
    """Reads and answers requests for pages, for all connections of a sandbox.

    Args:
        state: State of the sandbox.
        inline: Builds the pages.
        make_protocol: Makes aiohttp's protocol for a connection.
    """

    def __init__(self, state: SandboxState, inline: InlineApi, make_protocol: Callable[[], asyncio.Protocol]) -> None:
        self.state = state
        self.make_protocol = make_protocol
        self.connections: set[asyncio.Transport] = set()
        self._inline = inline

    def __call__(self) -> asyncio.Protocol:
        """Returns the protocol of a new connection."""
        return _Connection(self)

    def read(self, data: bytes) -> tuple[Target, SpaceSpec, Window] | None:
        """Returns the requested page, or None if aiohttp must handle the request."""
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
        target = parse_target(path, query)
        spec = None if target is None else options.space(target.space_id)
        if target is None or spec is None:
            return None
        window = self._inline.parse_window(target, query)
        return None if isinstance(window, web.Response) else (target, spec, window)

    def latency(self, target: Target) -> float:
        """Seconds from the request's arrival to the answer."""
        return self.state.options.segment_latency_s(with_traits=target.route == "page")

    def page(self, target: Target, spec: SpaceSpec, window: Window) -> list[bytes]:
        """Returns the answer in pieces to write."""
        body = self._inline.body(target, spec, window, None)
        return [_ANSWER % (len(body), self.state.request_id().encode()), body]

    def answer(self, transport: asyncio.Transport, at: float, target: Target, page: list[bytes]) -> None:
        """Writes the page and records it in the journal."""
        transport.writelines(page)
        self.state.journal.answer(at, "segment." + target.route, target.space_id, 200)

    def close(self) -> None:
        """Cuts every connection."""
        for transport in list(self.connections):
            transport.abort()


class _Connection(asyncio.Protocol):
    """One connection; aiohttp's protocol is made for it with the first request that needs it."""

    def __init__(self, fast_path: FastPath) -> None:
        self._fast_path = fast_path
        self._aiohttp: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._fast_path.connections.add(self._transport)

    def data_received(self, data: bytes) -> None:
        fast_path, loop = self._fast_path, asyncio.get_running_loop()
        arrived = loop.time()
        read = fast_path.read(data)
        if read is None:
            if self._aiohttp is None:
                self._aiohttp = fast_path.make_protocol()
                self._aiohttp.connection_made(self._transport)
            self._aiohttp.data_received(data)
            return
        target, spec, window = read
        at = fast_path.state.journal.arrive("segment." + target.route)
        latency, page = fast_path.latency(target), fast_path.page(target, spec, window)
        if latency:
            self._timer = loop.call_at(arrived + latency, fast_path.answer, self._transport, at, target, page)
        else:
            fast_path.answer(self._transport, at, target, page)

    def eof_received(self) -> bool | None:
        return None if self._aiohttp is None else self._aiohttp.eof_received()

    def pause_writing(self) -> None:
        if self._aiohttp is not None:
            self._aiohttp.pause_writing()

    def resume_writing(self) -> None:
        if self._aiohttp is not None:
            self._aiohttp.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._fast_path.connections.discard(self._transport)
        if self._timer is not None:
            self._timer.cancel()
        if self._aiohttp is not None:
            self._aiohttp.connection_lost(error)
