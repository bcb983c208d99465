"""An HTTP server that sends exactly the bytes that a test gives it, right or wrong, and keeps what it was asked.

The sandbox answers as the two APIs do; this one answers as no honest server would.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

Answer = bytes | Callable[[], AsyncIterator[bytes]]
"""Bytes of a whole answer, or what yields them piece by piece."""


@dataclass(frozen=True)
class Request:
    """A request as it came. headers: names in lower case; body: as much as came before the end of the connection."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class WebServer:
    """While `serving`. requests: those that were read, in order; ended: connections that are over."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    ended: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> None:
        self.ended += 1
        self._moved.set()

    async def wait_ended(self, count: int) -> None:
        """Returns once `count` connections are over."""
        while self.ended < count:
            self._moved.clear()
            await self._moved.wait()


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A well-formed answer with its length declared."""
    lines = {"Content-Length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Status\r\nConnection: close\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def forever() -> AsyncIterator[bytes]:
    """Answers nothing at all."""
    return _forever()


async def _forever() -> AsyncIterator[bytes]:
    await asyncio.Event().wait()
    yield b""


@contextlib.asynccontextmanager
async def serving(*answers: Answer) -> AsyncIterator[WebServer]:
    """Serves `answers` in their order, the last of them again and again; one request a connection."""
    web = WebServer()
    left = list(answers)
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        handlers.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                web.requests.append(await _read(reader))
                chosen = left.pop(0) if len(left) > 1 else left[0]
                async for piece in _once(chosen) if isinstance(chosen, bytes) else chosen():
                    writer.write(piece)
                    await writer.drain()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            writer.close()
            handlers.discard(task)
            web.end()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    web.port = server.sockets[0].getsockname()[1]
    try:
        yield web
    finally:
        server.close()
        for task in list(handlers):
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
        await server.wait_closed()


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    body = b""
    while len(body) < int(headers.get("content-length", "0")):
        piece = await reader.read(1 << 16)
        if not piece:
            break
        body += piece
    return Request(method, target, headers, body)
