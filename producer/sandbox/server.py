"""The server: one port for both APIs, on aiohttp's low-level server (no router).

Handlers are not cancelled when their client disconnects: a request takes effect anyway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from time import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from producer.sandbox.fault_answers import json_response
from producer.sandbox.faults import Fault
from producer.sandbox.journal import Journal
from producer.sandbox.mavera_api import Mavera
from producer.sandbox.options import SandboxOptions
from producer.sandbox.personas import Persona
from producer.sandbox.segment.inline_api import InlineApi
from producer.sandbox.segment.segment_api import Segment
from producer.sandbox.state import SandboxState

_SHUTDOWN_S = 0.05


class Sandbox:
    """Both servers of the sandbox while the context is open.

        async with Sandbox(SandboxOptions({"spa_1": SpaceSpec(60)})) as box:
            ...  # box.segment_url, box.mavera_url

    Attributes are valid inside the context.

    Args:
        options: Options of the sandbox.
        host: Address to listen on.
        port: Port to listen on; 0: any free one.
        inline_api: Builds the pages of the `inline` dialect; None: an `InlineApi`.

    Raises:
        OSError: On entering, if the port is taken.
    """

    def __init__(
        self, options: SandboxOptions, host: str = "127.0.0.1", port: int = 0, *, inline_api: InlineApi | None = None
    ) -> None:
        self._state = SandboxState(options)
        self._segment = Segment(self._state, inline_api or InlineApi(options))
        self._mavera = Mavera(self._state)
        self._host, self._port = host, port

    async def __aenter__(self) -> Self:
        server = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(self._protocol_factory(server), self._host, self._port, backlog=1024)
        self._stop = partial(self._shut, listener, server)
        everywhere = self._host in ("", "0.0.0.0")  # a client cannot connect to this address
        self._state.host = "127.0.0.1" if everywhere else self._host
        self._state.port = listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def url(self) -> str:
        """`http://host:port`."""
        return f"http://{self._state.host}:{self._state.port}"

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._state.port

    @property
    def segment_url(self) -> str:
        """The base URL of the `inline` dialect."""
        return self.url

    @property
    def profile_api_url(self) -> str:
        """The base URL of the `profile-api` dialect."""
        return self.url + "/v1"

    @property
    def mavera_url(self) -> str:
        """Mavera's base URL."""
        return self.url + "/api/v1"

    @property
    def personas(self) -> list[Persona]:
        """The custom personas there are, oldest first."""
        return [persona for persona in self._state.personas.all if persona.is_custom]

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The bodies of the creations that were accepted, word for word."""
        return self._state.personas.posts

    @property
    def patches(self) -> list[tuple[str, dict[str, Any]]]:
        """(persona id, body) of the updates that were accepted."""
        return self._state.personas.patches

    @property
    def journal(self) -> Journal:
        """The requests, counted and timed."""
        return self._state.journal

    @property
    def options(self) -> SandboxOptions:
        """The options now in force."""
        return self._state.options

    @property
    def credits(self) -> int | None:
        """Credits left; None: unlimited."""
        return self._state.credits

    def add_fault(self, fault: Fault) -> None:
        """Adds a fault; it counts requests from now on."""
        self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Ends all faults; requests that `hang` are cut, those on `hold` continue."""
        self._state.clear_faults()

    def set_options(self, **changes: Any) -> None:
        """Changes options while serving; ValueError as `SandboxOptions.changed`."""
        self._state.change(changes)

    def add_persona(self, fields: Mapping[str, Any]) -> Persona:
        """Adds a persona as a user of Mavera would by hand; it costs nothing here."""
        return self._state.personas.create(dict(fields), time(), 0.0, None)

    def delete_persona(self, persona_id: str) -> bool:
        """Deletes a persona as a user of Mavera would; returns False if it does not exist."""
        return self._state.personas.delete(persona_id)

    def _protocol_factory(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        """Returns what makes the protocol of a new connection; a subclass may put its own before aiohttp's."""
        return server

    async def _shut(self, listener: asyncio.Server, server: web.Server) -> None:
        listener.close()
        await self._state.stop()
        await self._close_connections(server)
        await listener.wait_closed()

    async def _close_connections(self, server: web.Server) -> None:
        server.pre_shutdown()
        await server.shutdown(_SHUTDOWN_S)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, search = request.raw_path.partition("?")
        query: Mapping[str, str] = dict(parse_qsl(search)) if search else {}
        if "%" in path:
            path = unquote(path)
        if path.startswith("/_moved/"):
            path = path.removeprefix("/_moved")
        if path.startswith("/spaces/") and request.headers.get("Authorization", "").startswith("Basic "):
            path = "/v1" + path  # one base URL serves both dialects; the credentials decide
        if path.startswith(("/spaces/", "/v1/")):
            return await self._segment.handle(request, path, query)
        if path.startswith("/api/v1/"):
            return await self._mavera.handle(request, path, query)
        if path.startswith("/_elsewhere/"):
            self._state.journal.elsewhere.append((path, "Authorization" in request.headers))
        return json_response(b'{"error":{"code":"not_found","message":"No such route"}}', 404)


async def serve(
    options: SandboxOptions, host: str, port: int, *, ready: Callable[[Sandbox], object] = lambda _: None
) -> None:
    """Serves until cancelled and prints nothing; `ready` is called once it listens, with its URLs known."""
    async with Sandbox(options, host, port) as box:
        ready(box)
        await asyncio.Event().wait()
