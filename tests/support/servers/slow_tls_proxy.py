"""A TLS front that makes every connection slow: each request opens its own, and its handshake waits.

The kernel accepts TCP connections by itself, so the delay is in the TLS handshake, which clients count as connecting.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.servers.tls import Identity, identity


class SlowFront:
    """While `slow_front` is open. delay_s: seconds before each handshake, which may be changed at any time."""

    def __init__(self, behind: int, own: Identity) -> None:
        self.delay_s = 0.0
        self.port = 0
        self.connections = 0
        self._behind = behind
        self._certificate = own.certificate
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own.certificate, own.key)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process trust the front."""
        return {"SSL_CERT_FILE": str(self._certificate)}

    async def serve(self, connection: asyncio.Transport) -> None:
        """One connection, which is accepted and has not begun its handshake."""
        self.connections += 1
        await asyncio.sleep(self.delay_s)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await loop.start_tls(connection, protocol, self._context, server_side=True)
        assert transport
        protocol.connection_made(transport)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            try:
                # A request line, then a header of ours: the server ends the connection after its answer.
                behind_writer.write(await reader.readline() + b"Connection: close\r\n")
                await asyncio.gather(_copy(reader, behind_writer), _copy(behind_reader, writer))
            finally:
                behind_writer.close()
        finally:
            writer.close()


class _Accepted(asyncio.Protocol):
    """Waits without reading anything, until the handshake may begin."""

    def __init__(self, front: SlowFront, tasks: set[asyncio.Task[None]]) -> None:
        self._front, self._tasks = front, tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        task = asyncio.create_task(self._serve(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, transport: asyncio.Transport) -> None:
        # A client that has gone meanwhile is an everyday thing here.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._front.serve(transport)
        transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@contextlib.asynccontextmanager
async def slow_front(behind: int, folder: Path) -> AsyncIterator[SlowFront]:
    """A front of the HTTP server at the port `behind`; its certificate is written to `folder`."""
    front = SlowFront(behind, identity(folder))
    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _Accepted(front, tasks), "127.0.0.1", 0)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
