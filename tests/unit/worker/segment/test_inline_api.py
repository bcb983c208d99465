"""The `inline` dialect against the sandbox, and against a server that answers as no honest one would."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from producer.sandbox import CURSOR_FORMS, Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.servers.web_server import answer, serving
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http.client import HttpClient, HttpLimits, new_session
from worker.models.request import SyncRequest
from worker.segment import InlineApi, Page

NOW = 1_700_000_000.0
SPACE = SpaceSpec(25)
EMPTY = b'{"data": {"profiles": []}}'


@asynccontextmanager
async def client(
    url: str, space_id: str = "spa_1", *, token: str = "sandbox", page_size: int = 10, total_s: float = 30
) -> AsyncIterator[InlineApi]:
    async with new_session() as session:
        http = HttpClient(session, url, {"Authorization": f"Bearer {token}"}, HttpLimits(total_s, total_s, 1 << 20))
        yield InlineApi(http, SyncRequest(space_id=space_id), page_size, wall_clock=lambda: NOW)


@asynccontextmanager
async def sandbox(*faults: Fault, form: str = "data.cursor:object") -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({"spa_1": SPACE}, faults=faults, cursor_form=form)) as box:
        yield box


async def pages(segment: InlineApi) -> list[Page]:
    """The whole listing."""
    found = [await segment.fetch_page("", 1)]
    while found[-1].next_cursor:
        found.append(await segment.fetch_page(found[-1].next_cursor, len(found) + 1))
    return found


async def refusal(raw: bytes, cursor: str = "", number: int = 1) -> ApiError:
    """What this answer to a page becomes."""
    async with serving(raw) as web, client(web.url) as segment:
        with pytest.raises(ApiError) as caught:
            await segment.fetch_page(cursor, number)
    return caught.value


async def test_a_listing_is_read_to_its_end() -> None:
    async with sandbox() as box, client(box.segment_url) as segment:
        found = await pages(segment)
    assert [len(page.profiles) for page in found] == [10, 10, 5]
    assert [entry for page in found for entry in page.profiles] == list(profiles(SPACE))


@pytest.mark.parametrize("form", CURSOR_FORMS)
async def test_a_listing_ends_in_every_form_of_the_cursor(form: str) -> None:
    async with sandbox(form=form) as box, client(box.segment_url) as segment:
        assert [len(page.profiles) for page in await pages(segment)] == [10, 10, 5]


async def test_the_first_page_asks_without_a_cursor_and_the_others_with_theirs() -> None:
    first = orjson.dumps({"data": {"profiles": [], "cursor": {"next": "a&b=c"}}})
    async with serving(answer(200, first), answer(200, EMPTY)) as web, client(web.url) as segment:
        assert len(await pages(segment)) == 2
    base = "/spaces/spa_1/collections/users/profiles?limit=10&include=traits"
    assert [request.target for request in web.requests] == [base, base + "&cursor=a%26b%3Dc"]


# Statuses


@pytest.mark.parametrize(
    ("status", "kind", "code", "advice"),
    [
        (204, Retry, "segment_unavailable", ""),
        (206, Retry, "segment_unavailable", ""),
        (304, Retry, "segment_unavailable", ""),
        (400, Permanent, "segment_bad_request", ""),
        (401, ResumableStop, "segment_unauthorized", "Check SEGMENT_TOKEN"),
        (403, ResumableStop, "segment_forbidden", "Check SEGMENT_BASE_URL"),
        (404, ResumableStop, "segment_not_found", "Check SEGMENT_BASE_URL"),
        (405, Permanent, "segment_bad_request", ""),
        (408, Retry, "segment_unavailable", ""),
        (410, Permanent, "segment_bad_request", ""),
        (422, Permanent, "segment_bad_request", ""),
        (429, WaitUntil, "segment_rate_limit", ""),
        (500, Retry, "segment_unavailable", ""),
        (503, Retry, "segment_unavailable", ""),
        (599, Retry, "segment_unavailable", ""),
    ],
)
async def test_each_status_has_its_meaning_and_its_request_id(
    status: int, kind: type[ApiError], code: str, advice: str
) -> None:
    body = b"" if status in {204, 304} else b'{"error": {"code": "c_1", "message": "Not valid"}}'
    error = await refusal(answer(status, body, {"Request-Id": "req_7"}), number=4)
    assert type(error) is kind
    assert (error.code, error.request_id, error.resumable) == (code, "req_7", kind is not Permanent)
    assert str(error).startswith(f"Segment, space spa_1, page 4: {status}" + (" Not valid" if body else ""))
    assert str(error).endswith("(Request-Id req_7)")
    assert advice in error.hint
    assert not advice or advice not in str(error)


@pytest.mark.parametrize("status", [400, 410, 422])
@pytest.mark.parametrize(
    "body",
    [
        b'{"error": {"code": "invalid_cursor", "message": "No"}}',
        b'{"errors": [{"type": "bad_request", "message": "The cursor has expired", "field": null}]}',
        b'{"errors": [{"type": "bad_request", "message": "invalid", "field": "next"}]}',
        b'{"message": "Unknown page token"}',
    ],
)
async def test_a_cursor_that_is_refused_later_has_expired(status: int, body: bytes) -> None:
    error = await refusal(answer(status, body), cursor="c", number=9)
    assert (type(error), error.code, error.resumable) == (Permanent, "cursor_expired", False)
    assert "page 9" in str(error)
    assert "from the start" in error.hint


@pytest.mark.parametrize("status", [400, 409, 410, 422])
@pytest.mark.parametrize("body", [b"", b'{"errors": [{"type": "bad_request", "message": "include is unknown"}]}'])
async def test_a_later_page_that_is_refused_for_another_reason_can_be_resumed(status: int, body: bytes) -> None:
    error = await refusal(answer(status, body), cursor="c", number=2)
    assert (type(error), error.code, error.resumable) == (ResumableStop, "segment_bad_request", True)
    assert ("include is unknown" in str(error)) == bool(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors": [{"message": "Space not found"}]}',
        b'{"error": {"message": "Space not found"}}',
        b'{"error": "Space not found"}',
        b'{"data": {"profiles": [], "cursor": null}, "errors": [{"message": "Space not found"}]}',
    ],
)
async def test_an_error_body_with_status_200_is_quoted_and_stops(body: bytes) -> None:
    error = await refusal(answer(200, body, {"Request-Id": "req_7"}))
    assert (type(error), error.code, error.request_id) == (ResumableStop, "segment_error", "req_7")
    assert "Space not found" in str(error)


async def test_no_error_beside_a_page_is_none() -> None:
    body = b'{"data": {"profiles": []}, "error": null, "errors": []}'
    async with serving(answer(200, body)) as web, client(web.url) as segment:
        assert await segment.fetch_page("", 1) == Page([], None)


async def test_a_cursor_expires_in_the_sandbox_too() -> None:
    async with sandbox(Fault("segment", "expired_cursor")) as box, client(box.segment_url) as segment:
        first = await segment.fetch_page("", 1)
        assert first.next_cursor
        with pytest.raises(Permanent, match="no longer accepts the cursor") as caught:
            await segment.fetch_page(first.next_cursor, 2)
    assert caught.value.code == "cursor_expired"


async def test_a_wrong_token_and_an_unknown_space_stop_the_sync() -> None:
    async with sandbox() as box:
        async with client(box.segment_url, token="wrong") as segment:
            with pytest.raises(ResumableStop) as caught:
                await segment.fetch_page("", 1)
            assert "SEGMENT_TOKEN" in caught.value.hint
            assert caught.value.request_id
        async with client(box.segment_url, "spa_2") as segment:
            with pytest.raises(ResumableStop) as caught:
                await segment.fetch_page("", 1)
            assert re.search(r"region and dialect.+workspace has Unify", caught.value.hint)


async def test_an_error_page_of_a_proxy_is_not_repeated() -> None:
    fault = Fault("segment", "status", status=502, body="html")
    async with sandbox(fault) as box, client(box.segment_url) as segment:
        with pytest.raises(Retry) as caught:
            await segment.fetch_page("", 1)
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("604800", 604_800), ("Tue, 14 Nov 2023 22:13:25 GMT", 5), ("Tue, 14 Nov 2023 22:13:15 GMT", None), ("x", None)],
)
async def test_retry_after_is_handed_on(header: str, wait_s: float | None) -> None:
    error = await refusal(answer(429, b"", {"Retry-After": header}))
    assert isinstance(error, WaitUntil)
    assert error.wait_s == wait_s


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_retry_after_counts_on_a_5xx_too(status: int) -> None:
    error = await refusal(answer(status, b"", {"Retry-After": "3"}))
    assert isinstance(error, WaitUntil)
    assert (error.code, error.wait_s) == ("segment_unavailable", 3)


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        (b'{"errors": [{"type": "rate-limit", "data": {"msBeforeNext": 2500}}]}', {}, 2.5),
        (b'{"errors": [{"data": {"msBeforeNext": 2500}}]}', {"Retry-After": "7"}, 7),
        (b"", {"X-RateLimit-Reset": "Tue, 14 Nov 2023 22:13:25 GMT"}, 5),
        (b"", {"X-RateLimit-Reset": "Tue, 14 Nov 2023 22:13:25 +0000", "X-RateLimit-Remaining": "0"}, 5),
        (b"", {"X-RateLimit-Reset": "Tue, 14 Nov 2023 22:13:25 GMT", "X-RateLimit-Remaining": "9"}, None),
        (b'{"errors": [{"data": {"msBeforeNext": -1}}]}', {"X-RateLimit-Reset": "soon"}, None),
    ],
)
async def test_a_429_names_its_wait_in_each_of_the_known_ways(
    body: bytes, headers: dict[str, str], wait_s: float | None
) -> None:
    error = await refusal(answer(429, body, headers))
    assert isinstance(error, WaitUntil)
    assert error.wait_s == wait_s


# No usable answer


@pytest.mark.parametrize(
    "fault",
    [
        Fault("segment", "drop", times=2),  # aiohttp repeats a GET whose connection was cut, once and silently
        Fault("segment", "truncate", times=1),
    ],
    ids=lambda fault: fault.kind,
)
async def test_a_connection_that_breaks_may_hold_the_next_time(fault: Fault) -> None:
    async with sandbox(fault) as box, client(box.segment_url) as segment:
        with pytest.raises(Retry) as caught:
            await segment.fetch_page("", 1)
        assert caught.value.code == "segment_unavailable"
        assert len((await segment.fetch_page("", 1)).profiles) == 10


@pytest.mark.parametrize("kind", ["html", "invalid_json", "deep"])
async def test_a_body_that_is_not_a_page_is_asked_for_again(kind: str) -> None:
    async with sandbox(Fault("segment", kind, times=1)) as box, client(box.segment_url) as segment:  # type: ignore[arg-type]
        with pytest.raises(Retry, match="page 1: the body is not JSON") as caught:
            await segment.fetch_page("", 1)
        assert caught.value.code == "segment_bad_body"
        assert caught.value.request_id
        assert len((await segment.fetch_page("", 1)).profiles) == 10


@pytest.mark.parametrize(
    "body",
    [
        b'{"data": {}}',
        b'[{"email": "jane@example.com"}]',
        b'{"data": {"profiles": {"email": "jane@example.com"}}}',
        b"",
    ],
)
async def test_a_bad_page_is_retried_and_names_its_cursor_and_nothing_of_its_content(body: bytes) -> None:
    error = await refusal(answer(200, body), cursor="c\n" + "x" * 5000, number=2)
    assert (type(error), error.code) == (Retry, "segment_bad_body")
    assert str(error).startswith("Segment, space spa_1, page 2, cursor 'c\\nxxx")
    assert len(str(error)) < 250
    assert "jane" not in str(error)


@pytest.mark.parametrize("cursor", [b'{"next": ["jane@example.com"]}', b'"\\ud800"', b'{"has_more": true}'])
async def test_a_page_in_doubt_says_where_and_nothing_of_its_content(cursor: bytes) -> None:
    body = b'{"data": {"profiles": [{"email": "jane@example.com"}], "cursor": %b}}' % cursor
    async with serving(answer(200, body)) as web, client(web.url) as segment:
        page = await segment.fetch_page("c", 2)
    assert page.next_cursor is None
    assert page.doubt.startswith("Segment, space spa_1, page 2: the answer")
    assert "data.cursor" in page.doubt or "cursor is" in page.doubt
    assert "jane" not in page.doubt


async def test_a_hung_server_ends_with_the_time_out() -> None:
    async with sandbox(Fault("segment", "hang")) as box, client(box.segment_url, total_s=0.2) as segment:
        with pytest.raises(Retry, match=r"no answer within 0\.2 s"):
            await segment.fetch_page("", 1)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "1e999"])
async def test_a_malformed_number_does_not_spoil_its_page(token: str) -> None:
    async with sandbox(Fault("segment", "not_finite", token=token)) as box, client(box.segment_url) as segment:
        assert len((await segment.fetch_page("", 1)).profiles) == 10
