"""The least that a client can do: ask for a page, find the next cursor in its last bytes, ask again. Nothing is parsed.

What this reaches is what the sandbox, the network and asyncio allow together; no client of the same pages is faster.
"""

from __future__ import annotations

import asyncio
import re
import time
from functools import partial
from urllib.parse import urlsplit

from tests.bench.testbed import TOKEN

_NEXT = re.compile(rb'"next":"([^"]+)"')
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_TAIL = 600
"""Bytes at the end of a page that hold its cursor."""


def requests_a_second(segment_url: str, spaces: list[str]) -> float:
    """Pages a second of one chain through each space, all at once."""
    return asyncio.run(_read(segment_url, spaces))


async def _read(segment_url: str, spaces: list[str]) -> float:
    loop = asyncio.get_running_loop()
    address = urlsplit(segment_url)
    assert address.hostname
    assert address.port
    start = time.monotonic()
    made = [await loop.create_connection(partial(_Chain, space), address.hostname, address.port) for space in spaces]
    pages = sum([await chain.pages for _, chain in made])
    seconds = time.monotonic() - start
    for transport, _ in made:
        transport.close()
    return pages / seconds


class _Chain(asyncio.Protocol):
    """One connection. pages: how many there were, once the listing has ended."""

    def __init__(self, space_id: str) -> None:
        self._path = f"/spaces/{space_id}/collections/users/profiles?limit=200&include=traits"
        self._parts: list[bytes] = []
        self._missing = 0
        self._read = 0
        self.pages: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask("")

    def data_received(self, data: bytes) -> None:
        if not self._parts:
            # The sandbox writes head and body together, so the head is whole in the first part.
            head = data.index(b"\r\n\r\n") + 4
            length = _LENGTH.search(data, 0, head)
            assert length, "not the sandbox's answer"
            self._missing = int(length[1]) + head
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return
        self._read += 1
        following = _NEXT.search(b"".join(self._parts[-2:])[-_TAIL:])
        self._parts.clear()
        if following:
            self._ask("&cursor=" + following[1].decode())
        else:
            self.pages.set_result(self._read)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.pages.done():
            self.pages.set_exception(error or ConnectionError("the sandbox closed the connection"))

    def _ask(self, cursor: str) -> None:
        request = f"GET {self._path}{cursor} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        self._transport.write(request.encode())
