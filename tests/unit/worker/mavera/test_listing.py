"""Mavera's list of personas: which page is the last one, which rows are personas, and when the list is in doubt."""

from __future__ import annotations

import json

import orjson
import pytest

from tests.support.mavera_client import (
    FAMILY,
    REFERENCE,
    error_of,
    mavera_client,
    mavera_sandbox,
    permit,
    persona_payload,
)
from tests.support.servers.web_server import answer, serving
from worker.errors import Retry
from worker.mavera import ListPage, MaveraClient, Persona, Reference, list_pages


async def list_of(body: object) -> ListPage:
    async with serving(answer(200, orjson.dumps(body))) as web, mavera_client(web.url) as mavera:
        return await mavera.list_page(FAMILY, None)


async def test_a_family_is_searched_for() -> None:
    async with serving(answer(200, b'{"data": []}')) as web, mavera_client(web.url) as mavera:
        await mavera.list_page(FAMILY, None)
        await mavera.list_page(FAMILY, "c&d")
    assert [request.target for request in web.requests] == [
        "/personas?search=0123456789&limit=100",
        "/personas?search=0123456789&limit=100&cursor=c%26d",
    ]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_search_that_is_refused_is_left_out_from_then_on(status: int) -> None:
    async with (
        serving(answer(status), answer(200, b'{"data": [{"id": "per_1"}]}')) as web,
        mavera_client(web.url) as mavera,
    ):
        assert [one.id for one in (await mavera.list_page(FAMILY, None)).personas] == ["per_1"]
        await mavera.list_page(FAMILY, "c")
    assert [request.target for request in web.requests] == [
        "/personas?search=0123456789&limit=100",
        "/personas?limit=100",
        "/personas?limit=100&cursor=c",
    ]


async def test_only_the_family_is_found_by_its_references() -> None:
    other = Reference("9876543210", "01234567")
    async with mavera_sandbox(stock=3) as box, mavera_client(box.mavera_url) as mavera:
        mine = await mavera.create(persona_payload(), permit)
        await mavera.create(persona_payload(reference=other), permit)
        assert await mavera.list_page(FAMILY, None) == ListPage([await _listed(mavera, mine.id)], 1, None, "")


async def _listed(mavera: MaveraClient, persona_id: str) -> Persona:
    found = (await mavera.list_page("Segment", None)).personas
    return next(persona for persona in found if persona.id == persona_id)


async def pages_of(mavera: MaveraClient) -> list[ListPage]:
    return [page async for page in list_pages(mavera, FAMILY, lambda request: request())]


@pytest.mark.parametrize(("number", "pages"), [(0, [0]), (99, [99]), (100, [100]), (101, [100, 1])])
async def test_a_listing_is_followed_to_its_end(number: int, pages: list[int]) -> None:
    async with mavera_sandbox() as box, mavera_client(box.mavera_url) as mavera:
        for _ in range(number):
            await mavera.create(persona_payload(), permit)
        found = await pages_of(mavera)
    assert [len(page.personas) for page in found] == pages
    assert not any(page.doubt for page in found)


async def test_a_full_page_that_says_nothing_may_not_be_the_last() -> None:
    async with mavera_sandbox(next_cursor=False) as box, mavera_client(box.mavera_url) as mavera:
        for number in range(100):
            assert not (await mavera.list_page(FAMILY, None)).doubt, number
            await mavera.create(persona_payload(), permit)
        page = await mavera.list_page(FAMILY, None)
    assert page.cursor is None
    assert "page is full (100 entries)" in page.doubt
    assert "top level: object, data" in page.doubt


@pytest.mark.parametrize(
    ("body_fields", "cursor", "doubt"),
    [
        ({}, None, False),
        ({"next_cursor": "c"}, "c", False),
        ({"next_cursor": "c", "has_more": True}, "c", False),
        ({"next_cursor": "c", "has_more": False}, None, False),
        ({"cursor": "c"}, "c", False),
        ({"cursor": {"next": "c", "has_more": True}}, "c", False),
        ({"cursor": {"next": "c", "has_more": False}}, None, False),
        ({"cursor": {"next": None, "has_more": False}}, None, False),
        ({"cursor": {}}, None, False),
        ({"next_cursor": "", "cursor": ""}, None, False),
        ({"next_cursor": None, "has_more": False}, None, False),
        ({"cursor": {"next": 7}}, "7", False),
        ({"cursor": 7}, "7", False),
        ({"meta": {"next_cursor": "c"}}, "c", False),
        ({"total": 1}, None, False),
        # There is more, and no way to it: the list is not complete.
        ({"total": 2}, None, True),
        ({"has_more": True}, None, True),
        ({"has_more": "perhaps"}, None, True),
        ({"next_cursor": None, "has_more": True}, None, True),
        ({"cursor": {"next": None, "has_more": True}}, None, True),
        ({"cursor": {"next": ["c"]}}, None, True),
        ({"next_cursor": ["c"]}, None, True),
        ({"next_cursor": "c" * 5000}, None, True),
        ({"next_cursor": "\ud800"}, None, True),
    ],
)
async def test_a_listing_is_complete_only_if_nothing_says_otherwise(
    body_fields: dict[str, object], cursor: str | None, doubt: bool
) -> None:
    body = json.dumps({"data": [{"id": "per_1"}], **body_fields}).encode()
    async with serving(answer(200, body)) as web, mavera_client(web.url) as mavera:
        page = await mavera.list_page(FAMILY, None, before=0)
    assert (page.personas, page.cursor, bool(page.doubt)) == ([Persona(id="per_1")], cursor, doubt), page.doubt


@pytest.mark.parametrize(("has_more", "doubt"), [(False, False), (None, True), (True, True)])
async def test_a_full_page_is_the_last_only_if_it_says_so(has_more: bool | None, doubt: bool) -> None:
    page = await list_of({"data": [{"id": f"per_{n}"} for n in range(100)], "has_more": has_more})
    assert (page.cursor, bool(page.doubt)) == (None, doubt)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b"[]", b"{}", b'{"data": {}}', b'{"data": "per_1"}', b'{"personas": []}'],
)
async def test_a_body_that_is_not_a_list_is_asked_for_again(body: bytes) -> None:
    error = await error_of(200, "GET", body, {"Request-Id": "req_7"})
    assert isinstance(error, Retry)
    assert error.code == "mavera_bad_body"
    assert str(error) == "Mavera, list of personas: the body is not a list (Request-Id req_7)"


async def test_a_list_of_null_is_empty() -> None:
    assert await list_of({"data": None, "has_more": False}) == ListPage([], 0, None, "")


ODD_ROWS: list[object] = [
    None,
    7,
    "per_9",
    [],
    [{"id": "per_9"}],
    {},
    {"id": None},
    {"id": True},
    {"id": ""},
    {"id": "a b"},
    {"id": "x" * 201},
    {"id": {"id": "per_9"}},
    {"name": "jane@example.com"},
]


async def test_odd_rows_of_a_list_are_ignored() -> None:
    mine = {"id": "per_1", "description": f"ours {REFERENCE}"}
    page = await list_of({"data": [*ODD_ROWS, mine, *ODD_ROWS]})
    assert [persona.id for persona in page.personas] == ["per_1"]
    assert page.rows == 2 * len(ODD_ROWS) + 1
    assert not page.doubt


async def test_odd_fields_of_a_persona_are_not_in_the_way() -> None:
    odd: dict[str, object] = {"id": "7", "name": None, "description": 5, "created_at": {}, "credits_charged": "x"}
    found = (await list_of({"data": [odd, {"id": 8, "description": f"ours {REFERENCE}"}]})).personas
    assert [persona.reference for persona in found] == [None, REFERENCE]
    assert [persona.id for persona in found] == ["7", "8"]


async def test_a_persona_of_ours_without_an_id_leaves_the_list_in_doubt() -> None:
    for row in (
        {"id": None, "description": f"ours {REFERENCE}"},
        {"id": None, "name": "Segment CDP: Growth", "description": "cut of…"},
        {"id": True, "name": "SEGMENT CDP: growth"},
        {"_id": "per_1", "Name": "Segment CDP: Growth"},
        {"persona": {"id": "per_1", "attributes": {"description": f"ours {REFERENCE}"}}},
        {"id": 1.5, "tags": ["x", f"ours {REFERENCE}"]},
    ):
        page = await list_of({"data": [row], "has_more": False})
        assert page.personas == []
        assert "no usable id" in page.doubt


async def test_a_cursor_that_repeats_is_seen_at_once() -> None:
    first, second = (orjson.dumps({"data": [], "next_cursor": cursor}) for cursor in ("c", "d"))
    answers = (answer(200, first), answer(200, second), answer(200, first))
    async with serving(*answers) as web, mavera_client(web.url) as mavera:
        found = await pages_of(mavera)
    assert len(web.requests) == 3
    assert [page.doubt for page in found] == ["", "", "its cursor repeats"]


async def test_a_page_in_doubt_is_asked_for_again_and_its_last_answer_counts() -> None:
    doubtful, good = b'{"data": [], "has_more": true}', b'{"data": [], "has_more": false}'
    async with serving(answer(200, doubtful), answer(200, good)) as web, mavera_client(web.url) as mavera:
        assert not (await pages_of(mavera))[-1].doubt
    assert len(web.requests) == 2
    async with serving(answer(200, doubtful)) as web, mavera_client(web.url) as mavera:
        assert (await pages_of(mavera))[-1].doubt
    assert len(web.requests) == 3
