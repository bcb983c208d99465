"""Whatever a server sends: a clear outcome, little memory, no word of its content, and the client continues."""

from __future__ import annotations

import gzip
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.servers.web_server import Answer, answer, serving
from worker.clusters import Aggregate, fold, summarise
from worker.errors import ApiError, Permanent, ResumableStop, Retry
from worker.http.client import HttpClient, HttpLimits, new_session
from worker.models.request import SyncRequest
from worker.segment import InlineApi, Page
from worker.segment.endless_listing import CursorGuard

MIB = 1 << 20
BOUND = 4 * MIB
PERSON = b"jane@example.com"


@asynccontextmanager
async def client(url: str, *, body_bytes: int = BOUND, total_s: float = 60) -> AsyncIterator[InlineApi]:
    async with new_session() as session:
        limits = HttpLimits(total_s, total_s, body_bytes)
        http = HttpClient(session, url, {"Authorization": "Bearer sandbox"}, limits)
        yield InlineApi(http, SyncRequest(space_id="spa_1"), 10)


@asynccontextmanager
async def sandbox(*faults: Fault) -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({"spa_1": SpaceSpec(30)}, faults=faults)) as box:
        yield box


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fails if Python's memory grows by more than `size` bytes at any moment of the block."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size, f"{peak / MIB:.1f} MiB"


async def make_page(raw: Answer, body_bytes: int = BOUND) -> Page:
    async with serving(raw) as web, client(web.url, body_bytes=body_bytes) as segment:
        return await segment.fetch_page("", 1)


async def failure_of(raw: Answer, body_bytes: int = BOUND) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await make_page(raw, body_bytes)
    return caught.value


# Every fault ends clearly, and the next page is read as if nothing had been


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        (Fault("segment", "oversize", size_mb=300), "segment_unavailable", "larger than 4 MiB (MAX_BODY_MB)"),
        (Fault("segment", "gzip_bomb", size_mb=300), "segment_unavailable", "larger than 4 MiB (MAX_BODY_MB)"),
        (Fault("segment", "html"), "segment_bad_body", "the body is not JSON"),
        (Fault("segment", "invalid_json"), "segment_bad_body", "the body is not JSON"),
        (Fault("segment", "truncate"), "segment_unavailable", "the connection broke"),
        (Fault("segment", "deep", depth=100_000), "segment_bad_body", "the body is not JSON"),
        (Fault("segment", "redirect", location="other"), "segment_unreachable", "redirects to another host"),
        (Fault("segment", "redirect", location="http://[::1"), "segment_unreachable", "not a URL"),
        (Fault("segment", "hang", seconds=0.1), "segment_unavailable", "the connection broke"),
    ],
    ids=lambda value: f"{value.kind} {value.location}" if isinstance(value, Fault) else "",
)
async def test_a_hostile_answer_is_a_failure_that_can_be_mended(fault: Fault, code: str, words: str) -> None:
    async with sandbox(fault) as box, client(box.segment_url) as segment:
        with at_most(8 * BOUND), pytest.raises(ApiError) as caught:
            await segment.fetch_page("", 1)
        assert (caught.value.code, caught.value.resumable) == (code, True)
        assert isinstance(caught.value, ResumableStop if code == "segment_unreachable" else Retry)
        assert str(caught.value).startswith("Segment, space spa_1, page 1: ")
        assert words in str(caught.value)
        assert list(box.journal.elsewhere) == []
        box.clear_faults()
        assert len((await segment.fetch_page("", 1)).profiles) == 10


async def test_a_redirect_on_the_same_host_is_followed_to_the_page() -> None:
    async with sandbox(Fault("segment", "redirect", times=1)) as box, client(box.segment_url) as segment:
        assert len((await segment.fetch_page("", 1)).profiles) == 10


async def test_a_circle_of_redirects_is_a_failure_to_retry() -> None:
    error = await failure_of(answer(307, b"", {"Location": "/again"}))
    assert "more than 3 redirects" in str(error)


async def test_the_token_does_not_arrive_at_another_host() -> None:
    async with serving(answer(200, b'{"data": {"profiles": []}}')) as elsewhere:
        error = await failure_of(answer(302, b"", {"Location": f"{elsewhere.url}/spaces"}))
        assert error.code == "segment_unreachable"
        assert "another host" in str(error)
        assert elsewhere.requests == []


# Memory


async def test_a_body_declared_as_too_large_is_not_even_begun() -> None:
    async def huge() -> AsyncIterator[bytes]:
        yield answer(200, b"", {"Content-Length": str(10**15)})
        while True:
            yield bytes(MIB)

    with at_most(BOUND):
        assert "larger than 4 MiB" in str(await failure_of(huge))


async def test_an_endless_stream_of_compressed_nothing_ends_at_the_bound() -> None:
    nothing = gzip.compress(b"") * 1000

    async def endless() -> AsyncIterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
        while True:
            yield nothing

    with at_most(BOUND):
        assert "larger than 4 MiB" in str(await failure_of(endless))


@pytest.mark.parametrize("member", [b"{},", b"[],", b'{"a":' * 900 + b"0" + b"}" * 900 + b","])
async def test_a_small_body_does_not_unfold_into_a_large_value(member: bytes) -> None:
    body = b'{"data":{"profiles":[' + member * (12 * MIB // len(member)) + b"0]}}"
    packed = answer(200, gzip.compress(body, 1), {"Content-Encoding": "gzip"})
    with at_most(64 * MIB):
        assert "more than 1,000,000 values" in str(await failure_of(packed, 16 * MIB))


# Traits


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "-" + "9" * 400, "9" * 100_000])
async def test_an_impossible_number_costs_one_trait_and_not_the_page(token: str) -> None:
    first, second = f'{{"ltv": {token}, "churn_risk": 0.5}}', '{"ltv": 7, "churn_risk": 0}'
    body = f'{{"data": {{"profiles": [{{"traits": {first}}}, {{"traits": {second}}}]}}}}'
    page = await make_page(answer(200, body.encode()))
    aggregate = Aggregate()
    fold(aggregate, page.profiles)
    again = Aggregate.from_bytes(aggregate.to_bytes())
    assert (again.profiles, again.profile_errors, again.trait_errors) == (2, 0, {"ltv": 1})
    assert {summary.key: summary.n for summary in summarise(again) if summary.n} == {"at_risk": 1, "new": 1}


@pytest.mark.parametrize(
    "value",
    [
        '"\\ud800"',
        '"' + "x" * 1_000_000 + '"',
        "[" * 200 + "]" * 200,
        '{"a":' * 200 + "1" + "}" * 200,
        "[" + "1," * 50_000 + "1]",
        '"\\u0000\\u001b[31m"',
        "true",
        "null",
    ],
    ids=range(8),
)
async def test_an_odd_trait_is_folded_and_stored_like_any_other(value: str) -> None:
    body = f'{{"data": {{"profiles": [{{"traits": {{"ltv": {value}, "industry": {value}, "plan": {value}}}}}]}}}}'
    page = await make_page(answer(200, body.encode()))
    aggregate = Aggregate()
    fold(aggregate, page.profiles)
    assert Aggregate.from_bytes(aggregate.to_bytes()).profiles == 1
    assert len(aggregate.to_bytes()) < 10_000


# Nothing of a body is repeated


@pytest.mark.parametrize(
    "raw",
    [
        answer(200, PERSON),
        answer(200, b'{"data": {"profiles": [{"email": "%b"}' % PERSON),
        answer(200, b'{"data": {"profiles": {"%b": 1}}}' % PERSON),
        answer(200, b'{"data": "%b"}' % PERSON),
        answer(200, b'["%b"]' % PERSON),
        answer(200, PERSON, {"Content-Encoding": "gzip"}),
        answer(200, b"{}", {"Content-Encoding": PERSON.decode()}),
        answer(302, PERSON, {"Location": f"http://{PERSON.decode()}:x/"}),
        answer(500, PERSON),
        answer(500, b'{"%b": {"message": "%b"}}' % (PERSON, PERSON)),
        b"HTTP/1.1 200 " + PERSON + b"\r\nbroken " + PERSON + b"\r\n\r\n",
    ],
    ids=range(11),
)
async def test_no_failure_repeats_what_a_body_says(raw: bytes) -> None:
    error = await failure_of(raw)
    report = "".join(traceback.format_exception(error)) + repr(error)
    assert PERSON.decode() not in report


@pytest.mark.parametrize("cursor", [b'{"next": ["%b"]}', b'{"next": {"%b": 1}}', b'{"%b": {}, "has_more": true}'])
async def test_no_doubt_repeats_what_a_body_says(cursor: bytes) -> None:
    page = await make_page(answer(200, b'{"data": {"profiles": [], "cursor": %b}}' % (cursor % PERSON)))
    assert page.doubt
    assert PERSON.decode() not in page.doubt


async def test_an_apis_message_is_shown_but_cannot_write_on_the_terminal() -> None:
    error = await failure_of(answer(503, b'{"error": {"message": "down\\u001b[2J\\r\\nuntil \\ud800 six"}}'))
    assert str(error) == "Segment, space spa_1, page 1: 503 down [2J until six"


# Listings without end


async def walk(segment: InlineApi, max_empty_pages: int = 100) -> tuple[Permanent, int]:
    """Follows a listing as a walk does; what ends it, and after how many pages."""
    cursor, guard, number = "", CursorGuard(), 0
    while True:
        number += 1
        page = await segment.fetch_page(cursor, number)
        assert page.next_cursor, "the listing ended by itself"
        cursor = page.next_cursor
        try:
            guard = guard.advance(
                cursor, empty=not page.profiles, max_empty_pages=max_empty_pages, space_id="s", page=number
            )
        except Permanent as error:
            return error, number


@pytest.mark.parametrize("period", [1, 2, 7, 50])
async def test_cursors_that_go_in_a_circle_are_noticed(period: int) -> None:
    options = SandboxOptions(
        {"spa_1": SpaceSpec(10_000)}, faults=(Fault("segment", "cursor_loop", page=60, period=period),)
    )
    async with Sandbox(options) as box, client(box.segment_url) as segment:
        error, number = await walk(segment)
    assert error.code == "cursor_loop"
    assert number <= 4 * (60 + period) + 1


async def test_empty_pages_without_end_are_noticed() -> None:
    async with sandbox(Fault("segment", "empty_pages", page=1)) as box, client(box.segment_url) as segment:
        error, number = await walk(segment, max_empty_pages=20)
    assert (error.code, number) == ("empty_pages", 21)


async def test_some_empty_pages_are_none_of_our_business() -> None:
    async with sandbox(Fault("segment", "empty_pages", at=2, count=5)) as box, client(box.segment_url) as segment:
        pages, guard = [await segment.fetch_page("", 1)], CursorGuard()
        while cursor := pages[-1].next_cursor:
            guard = guard.advance(
                cursor, empty=not pages[-1].profiles, max_empty_pages=20, space_id="s", page=len(pages)
            )
            pages.append(await segment.fetch_page(cursor, len(pages) + 1))
    assert [len(page.profiles) for page in pages] == [10, 0, 0, 0, 0, 0, 10, 10]
