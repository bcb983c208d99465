"""The answers of faults: cut connections, endless bodies, answers that are not JSON.

Works on aiohttp's low-level requests, whose transport can be cut in the middle of an answer.
"""

from __future__ import annotations

import asyncio
import zlib
from email.utils import formatdate
from struct import pack
from time import time

from aiohttp import web

from producer.sandbox.faults import Fault
from producer.sandbox.journal import NO_ANSWER

_MB = 1 << 20
_FILLER = b"{}," * (_MB // 3) + b" " * (_MB % 3)
_START = b'{"data":{"profiles":['
_HTML = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1><p>upstream</p></body></html>"


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Returns an answer with a JSON body."""
    return web.Response(body=body, status=status, headers=headers, content_type="application/json")


def html_response(title: str, status: int = 200) -> web.Response:
    """Returns an answer as a proxy gives it."""
    return web.Response(text=_HTML.format(title), status=status, content_type="text/html")


def cut(request: web.BaseRequest) -> web.Response:
    """Resets the connection; the response returned goes nowhere and only carries `NO_ANSWER` to the
    journal."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=NO_ANSWER)


async def truncated(request: web.BaseRequest, response: web.Response) -> web.StreamResponse:
    """Announces the whole body, sends half of it and closes the connection."""
    body = response.body if isinstance(response.body, bytes) else b""
    partial = web.StreamResponse(status=response.status, headers=response.headers)
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return partial


async def oversize(request: web.BaseRequest, size_mb: int) -> web.StreamResponse:
    """Stream `size_mb` MB of a list, chunked, until the client stops reading."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        await response.write(_START)
        for _ in range(size_mb):
            await response.write(_FILLER)
        await response.write(b'{}],"cursor":null}}')
    except ConnectionError:
        cut(request)  # the reader has closed the connection
    return response


def gzip_bomb(size_mb: int) -> web.Response:
    """Returns a gzip body of about a thousandth of the `size_mb` MB that it unpacks to."""
    return web.Response(
        body=_bomb(size_mb),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )


def deep(levels: int) -> web.Response:
    """JSON nested deeper than any parser's stack."""
    return json_response(b"[" * levels + b"]" * levels)


def retry_after(text: str) -> str:
    """Returns the header for a fault's `retry_after`; `date:±s` is an HTTP date."""
    if text.startswith("date:"):
        return formatdate(time() + float(text.removeprefix("date:")), usegmt=True)
    return text


def redirect(request: web.BaseRequest, fault: Fault, host: str, port: int) -> web.Response:
    """Sends the client elsewhere; the paths `/_moved…` and `/_elsewhere…` are answered by the server."""
    if fault.location == "same":
        target = "/_moved" + request.raw_path
    elif fault.location == "other":
        other = "localhost" if host != "localhost" else "127.0.0.1"
        target = f"http://{other}:{port}/_elsewhere{request.raw_path}"
    else:
        target = fault.location
    status = fault.status if 300 <= fault.status < 400 else 302
    return web.Response(status=status, headers={"Location": target})


async def answer_fault(
    fault: Fault, request: web.BaseRequest, cleared: asyncio.Event, host: str, port: int
) -> web.StreamResponse | None:
    """Returns the answer of a fault, or None if the API answers the request.

    Args:
        fault: The fault.
        request: The request.
        cleared: Set when faults are cleared or the sandbox stops.
        host: The host of the sandbox.
        port: The port of the sandbox.
    """
    match fault.kind:
        case "drop":
            return cut(request)
        case "hang":
            await _wait(cleared, fault.seconds)
            return cut(request)
        case "hold":
            await cleared.wait()
        case "slow":
            await _wait(cleared, fault.seconds or 0.0)
        case "html":
            return html_response("Please sign in")
        case "invalid_json":
            return json_response(b'{"data": {"profiles": [')
        case "deep":
            return deep(fault.depth)
        case "oversize":
            return await oversize(request, fault.size_mb)
        case "gzip_bomb":
            return gzip_bomb(fault.size_mb)
        case "redirect":
            return redirect(request, fault, host, port)
    return None


async def _wait(event: asyncio.Event, seconds: float | None) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _bomb(size_mb: int) -> bytes:
    # A block that ends in a full flush can be repeated, so that 300 MB are never in memory here.
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(_FILLER) + packer.flush(zlib.Z_FULL_FLUSH)
    start = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    opening = start.compress(_START) + start.flush(zlib.Z_FULL_FLUSH)
    closing = b'{}],"cursor":null}}'
    check = zlib.crc32(_START)
    for _ in range(size_mb):
        check = zlib.crc32(_FILLER, check)
    check = zlib.crc32(closing, check)
    size = len(_START) + size_mb * _MB + len(closing)
    packed_end = packer.compress(closing) + packer.flush(zlib.Z_FINISH)
    trailer = pack("<II", check, size & 0xFFFFFFFF)
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + opening + block * size_mb + packed_end + trailer
