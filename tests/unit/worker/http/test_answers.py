"""What comes in: a body is read in every form, and a hostile server costs no memory and no time beyond the bounds."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import pytest

from tests.support.http_client import BODY, LONG_S, MIB, chunked, failed_get, get, packed, until_close
from tests.support.servers.web_server import Answer, answer, forever


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(answer(200, BODY), id="declared length"),
        pytest.param(answer(200, BODY, {"Content-Encoding": "identity"}), id="identity"),
        pytest.param(chunked(BODY[:100], BODY[100:]), id="chunked"),
        pytest.param(until_close(BODY), id="until the connection closes"),
        pytest.param(packed(gzip.compress(BODY)), id="gzip"),
        pytest.param(packed(gzip.compress(BODY), "x-gzip"), id="x-gzip"),
        pytest.param(packed(gzip.compress(BODY), " GZIP "), id="another spelling"),
        pytest.param(packed(gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])), id="two members"),
        pytest.param(packed(gzip.compress(b"") * 3 + gzip.compress(BODY)), id="empty members"),
        pytest.param(packed(gzip.compress(BODY, 0)), id="stored blocks"),
    ],
)
async def test_a_body_is_read_however_it_is_sent(raw: bytes) -> None:
    reply = await get(raw)
    assert (reply.status, reply.body) == (200, BODY)


async def test_members_may_be_cut_anywhere_on_their_way() -> None:
    body = gzip.compress(BODY[:500]) + gzip.compress(BODY[500:])

    async def drip() -> AsyncIterator[bytes]:
        yield packed(body)[: -len(body)]
        for at in range(len(body)):
            yield body[at : at + 1]

    assert (await get(drip)).body == BODY


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize("status", [200, 204, 206, 304, 404])
async def test_an_empty_body_is_one_whatever_its_encoding(status: int, encoding: str) -> None:
    reply = await get(answer(status, b"", {"Content-Encoding": encoding} if encoding else None))
    assert (reply.status, reply.body) == (status, b"")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x16\x03\x01 this is not HTTP\r\n\r\n", id="not HTTP"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", id="endless header"),
        pytest.param(answer(200, BODY)[:-1], id="cut short"),
        pytest.param(chunked(BODY, end=b""), id="last chunk missing"),
        pytest.param(chunked(BODY, end=b"zz\r\n"), id="broken chunk"),
        pytest.param(packed(gzip.compress(BODY)[:-9]), id="gzip cut short"),
        pytest.param(packed(gzip.compress(BODY)[:5]), id="gzip header cut short"),
        pytest.param(packed(gzip.compress(BODY)[:-8] + bytes(8)), id="wrong checksum"),
        pytest.param(packed(gzip.compress(BODY) + b"\r\ngarbage"), id="garbage behind gzip"),
        pytest.param(packed(gzip.compress(BODY) + gzip.compress(BODY)[:12]), id="second member cut short"),
        pytest.param(packed(BODY), id="not gzip at all"),
        pytest.param(packed(zlib.compress(BODY)[:-1], "deflate"), id="deflate cut short"),
        pytest.param(packed(BODY, "deflate"), id="not deflate at all"),
        pytest.param(packed(zlib.compress(BODY) + b"x", "deflate"), id="garbage behind deflate"),
        pytest.param(packed(BODY, "br"), id="br, not asked for"),
        pytest.param(packed(gzip.compress(gzip.compress(BODY)), "gzip, gzip"), id="packed twice"),
    ],
)
async def test_an_answer_that_is_broken_is_none_and_shows_nothing_of_itself(raw: bytes) -> None:
    error = await failed_get(raw)
    assert error.maybe_done
    assert "profiles" not in str(error)
    assert "garbage" not in str(error)


# Bounds


@pytest.mark.parametrize("body_bytes", [1, 1000, MIB])
async def test_a_body_of_exactly_the_bound_is_read(body_bytes: int) -> None:
    for raw in (answer(200, b"x" * body_bytes), until_close(b"x" * body_bytes), packed(gzip.compress(b"x" * 1))):
        reply = await get(raw, body_bytes=max(30, body_bytes))
        assert set(reply.body) == {ord("x")}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(answer(200, b"", {"Content-Length": str(10**12)}), id="declared"),
        pytest.param(packed(b"", "gzip").replace(b"Length: 0", b"Length: 99999999"), id="declared, compressed"),
        pytest.param(until_close(b"x" * 1001), id="undeclared"),
        pytest.param(chunked(b"x" * 999, b"xx"), id="chunked"),
        pytest.param(packed(gzip.compress(b"x" * 1001)), id="decompressed"),
        pytest.param(packed(gzip.compress(b"x" * 600) + gzip.compress(b"x" * 401)), id="in two members"),
        pytest.param(packed(gzip.compress(b"") * 100), id="compressed nothing"),
    ],
)
async def test_a_body_over_the_bound_is_not_read(raw: bytes) -> None:
    error = await failed_get(raw, body_bytes=1000)
    assert error.maybe_done
    assert str(error) == "the body is larger than 0.000953674 MiB (MAX_BODY_MB)"


async def test_an_endless_body_ends_at_the_bound() -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield until_close(b"")
        while True:
            yield b"x" * 65_536

    assert "larger than 1 MiB" in str(await failed_get(endless))


async def test_a_hung_server_costs_the_time_out_and_no_more() -> None:
    error = await failed_get(forever, total_s=0.1)
    assert error.maybe_done
    assert str(error) == "no answer within 0.1 s"


async def test_a_body_that_never_ends_costs_the_time_out_and_no_more() -> None:
    async def halting() -> AsyncIterator[bytes]:
        yield answer(200, BODY)[:-1]
        await asyncio.Event().wait()

    assert "no answer within" in str(await failed_get(halting, total_s=0.3))


# A refusal is one, even if its body cannot be had


async def halting_refusal() -> AsyncIterator[bytes]:
    yield answer(402, BODY)[:-1]
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(answer(401, BODY)[:-1], 401, id="cut short"),
        pytest.param(packed(BODY, status=500), 500, id="not gzip"),
        pytest.param(packed(BODY, "br", status=403), 403, id="unknown encoding"),
        pytest.param(answer(429, b"x" * 2000, {"Retry-After": "7"}), 429, id="too large"),
        pytest.param(halting_refusal, 402, id="never ends"),
    ],
)
async def test_a_refusal_counts_though_its_body_is_broken(raw: Answer, status: int) -> None:
    hangs = callable(raw)
    reply = await get(raw, body_bytes=1000, total_s=1.0 if hangs else LONG_S)
    assert (reply.status, reply.body) == (status, b"")
    assert status != 429 or reply.headers["retry-after"] == "7"


# What cannot get better is not asked for again


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, -zlib.MAX_WBITS])
async def test_deflate_is_read_in_both_of_its_forms(wbits: int) -> None:
    stream = zlib.compressobj(wbits=wbits)
    body = stream.compress(BODY) + stream.flush()
    assert (await get(packed(body, "deflate"))).body == BODY
    cut = chunked(body[:1], body[1:5], body[5:]).replace(b"\r\n", b"\r\nContent-Encoding: deflate\r\n", 1)
    assert (await get(cut)).body == BODY
    bomb = zlib.compress(b"x" * (2 * MIB))
    assert "larger than" in str(await failed_get(packed(bomb, "deflate")))


@pytest.mark.parametrize(
    ("encoding", "named"), [("br", "br"), ("zstd", "zstd"), ("gzip, gzip", "gzip, gzip"), ("é", "")]
)
async def test_an_encoding_that_is_not_read_is_named(encoding: str, named: str) -> None:
    error = await failed_get(packed(BODY, encoding))
    assert error.lasting
    assert named in str(error)


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"])
async def test_headers_that_are_too_large_are_named(raw: bytes) -> None:
    error = await failed_get(raw)
    assert (error.lasting, error.maybe_done) == (True, True)
    assert "headers of the answer are too large" in str(error)
