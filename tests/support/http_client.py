"""An HTTP client with a server of canned answers, and the bytes of answers in every form of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.servers.web_server import Answer, answer, serving
from worker.http.client import HttpClient, HttpLimits, Reply, new_session
from worker.http.errors import TransportError

LONG_S = 30.0
MIB = 1 << 20
BODY = b'{"data": {"profiles": []}}' * 40


@asynccontextmanager
async def http_client(
    url: str, *, connect_s: float = LONG_S, total_s: float = LONG_S, body_bytes: int = MIB
) -> AsyncIterator[HttpClient]:
    async with new_session() as session:
        credentials = {"Authorization": "Bearer secret"}
        yield HttpClient(session, url, credentials, HttpLimits(connect_s, total_s, body_bytes))


async def get(*answers: Answer, **limits: Any) -> Reply:
    """What a GET makes of these answers."""
    async with serving(*answers) as web, http_client(web.url, **limits) as http:
        return await http.request("GET", "/")


async def failed_get(*answers: Answer, **limits: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await get(*answers, **limits)
    return caught.value


def packed(body: bytes, encoding: str = "gzip", status: int = 200) -> bytes:
    return answer(status, body, {"Content-Encoding": encoding})


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + end


def until_close(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body
