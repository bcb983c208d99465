"""A sandbox that is never what limits a test or a benchmark: pages are built before serving and answered early."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from producer.sandbox import Sandbox, SandboxOptions
from tests.support.sandbox.fast_path import FastPath
from tests.support.sandbox.page_ring import RingApi


class PrebuiltSandbox(Sandbox):
    """A `Sandbox` whose pages of the `inline` dialect repeat after 50 (see `page_ring.ring_index`), and take it
    microseconds."""

    def __init__(self, options: SandboxOptions, host: str = "127.0.0.1", port: int = 0) -> None:
        self._ring_api = RingApi(options)
        super().__init__(options, host, port, inline_api=self._ring_api)

    def _protocol_factory(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        self._fast_path = FastPath(self._state, self._ring_api, server)
        return self._fast_path

    async def _close_connections(self, server: web.Server) -> None:
        await super()._close_connections(server)
        self._fast_path.close()
