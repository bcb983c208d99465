"""The Mavera client: a POST is never repeated, and nothing but a refusal is taken for one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions
from tests.support.servers.web_server import Answer, answer, serving
from worker.clusters.analysis.change_detection import PersonaFigures
from worker.errors import ApiError, Permanent, PersonasError, ResumableStop, Retry, WaitUntil
from worker.http.client import HttpClient, HttpLimits, new_session
from worker.http.errors import NotPermitted
from worker.mavera import (
    ListPage,
    MaveraClient,
    Persona,
    PersonaGone,
    PersonaPayload,
    PostUncertain,
    Reference,
    list_pages,
)

NOW = 1_700_000_000.0
KEY = "mvra_test_sandbox"
FAMILY = "0123456789"
REFERENCE = Reference(FAMILY, "01234567")


def payload(name: str = "Segment CDP: High Value", reference: Reference = REFERENCE) -> PersonaPayload:
    return PersonaPayload(
        name,
        f"High Value segment. {reference}",
        demographic={"industries": ["SaaS"], "plans": ["pro"]},
        psychographic={
            "cluster": "high_value",
            "avg_ltv": 1200.0,
            "avg_churn_risk": 0.05,
            "engagement_tier": "high",
        },
        wording="",
        figures=PersonaFigures(0.0, {}, {}),
        extra={"goals": ["Grow"]},
    )


def yes() -> bool:
    return True


@asynccontextmanager
async def client(url: str, *, key: str = KEY, total_s: float = 30) -> AsyncIterator[MaveraClient]:
    async with new_session() as session:
        http = HttpClient(session, url, {"Authorization": f"Bearer {key}"}, HttpLimits(total_s, total_s, 1 << 20))
        yield MaveraClient(http, wall_clock=lambda: NOW)


@asynccontextmanager
async def sandbox(*faults: Fault, next_cursor: bool = True, stock: int = 0) -> AsyncIterator[Sandbox]:
    options = SandboxOptions({}, faults=faults, mavera_next_cursor=next_cursor, stock_personas=stock)
    async with Sandbox(options) as box:
        yield box


async def create_with(raw: Answer) -> tuple[Persona | PersonasError, int]:
    """What becomes of a POST that is answered so, and how often it was sent."""
    async with serving(raw) as web, client(web.url) as mavera:
        try:
            outcome: Persona | PersonasError = await mavera.create(payload(), yes)
        except PersonasError as error:
            outcome = error
    return outcome, len(web.requests)


async def refusal(status: int, method: str, body: bytes = b"", headers: dict[str, str] | None = None) -> PersonasError:
    """What this answer becomes, to a list, a POST or a PATCH."""
    async with serving(answer(status, body, headers)) as web, client(web.url) as mavera:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "GET": lambda: mavera.list_page(FAMILY, None),
            "POST": lambda: mavera.create(payload(), yes),
            "PATCH": lambda: mavera.update("per_1", payload()),
        }
        with pytest.raises(PersonasError) as caught:
            await calls[method]()
    return caught.value


# Creating


async def test_a_persona_is_created_with_the_recipes_body() -> None:
    async with sandbox() as box, client(box.mavera_url) as mavera:
        persona = await mavera.create(payload(), yes)
        assert persona.id == box.personas[0].id
        assert persona.credits_charged == 300
        assert persona.reference == REFERENCE
        assert box.posts == [
            {
                "name": "Segment CDP: High Value",
                "description": f"High Value segment. {REFERENCE}",
                "demographic": {"industries": ["SaaS"], "plans": ["pro"]},
                "psychographic": {
                    "cluster": "high_value",
                    "avg_ltv": 1200.0,
                    "avg_churn_risk": 0.05,
                    "engagement_tier": "high",
                },
                "goals": ["Grow"],
            }
        ]


async def test_a_post_that_is_no_longer_permitted_makes_nothing() -> None:
    async with sandbox() as box, client(box.mavera_url) as mavera:
        with pytest.raises(NotPermitted):
            await mavera.create(payload(), lambda: False)
        assert box.posts == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault("mavera", "drop"),
        Fault("mavera", "truncate"),
        Fault("mavera", "hang"),
        Fault("mavera", "html"),
        Fault("mavera", "invalid_json"),
        Fault("mavera", "deep"),
        Fault("mavera", "oversize", size_mb=2),
        Fault("mavera", "gzip_bomb"),
        Fault("mavera", "redirect"),
        Fault("mavera", "redirect", location="other"),
        Fault("mavera", "status", status=500),
        Fault("mavera", "status", status=503),
        Fault("mavera", "status", status=504, body="html"),
        Fault("mavera", "status", status=408),
        Fault("mavera", "created_lost"),
        Fault("mavera", "created_late", seconds=0),
        Fault("mavera", "created_error", status=500),
        Fault("mavera", "created_error", status=503),
    ],
    ids=lambda fault: f"{fault.kind} {fault.status}",
)
async def test_a_post_without_a_definite_answer_is_in_doubt_and_sent_once(fault: Fault) -> None:
    # Only the hung server needs the time-out; the others must have the time that a busy machine takes.
    async with sandbox(fault) as box, client(box.mavera_url, total_s=0.3 if fault.kind == "hang" else 30) as mavera:
        with pytest.raises(PostUncertain, match=r"^Mavera, persona 'Segment CDP: High Value': "):
            await mavera.create(payload(), yes)
        assert box.journal.arrived["mavera.create"] == 1


@pytest.mark.parametrize("status", [200, 201, 202, 203])
async def test_a_persona_is_one_whatever_the_2xx_that_names_it(status: int) -> None:
    outcome, _ = await create_with(answer(status, b'{"id": "per_1"}'))
    assert isinstance(outcome, Persona)
    assert outcome.id == "per_1"


async def test_the_id_of_a_job_that_makes_the_persona_is_not_that_of_the_persona() -> None:
    outcome, _ = await create_with(answer(202, b'{"id": "job_1", "object": "job", "status": "pending"}'))
    assert isinstance(outcome, PostUncertain)


@pytest.mark.parametrize("kind", ["custom_persona", "Persona", "", None, 5])
async def test_a_persona_is_one_unless_it_says_otherwise(kind: object) -> None:
    outcome, _ = await create_with(answer(201, orjson.dumps({"id": "per_1", "object": kind})))
    assert isinstance(outcome, Persona)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 300, 304])
async def test_a_success_that_names_no_persona_leaves_it_in_doubt(status: int) -> None:
    outcome, sent = await create_with(answer(status))
    assert isinstance(outcome, PostUncertain)
    assert sent == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"id": null}',
        b'{"id": ""}',
        b'{"id": true}',
        b'{"id": ".."}',
        b'{"id": "a b"}',
        b'{"id": "a\\nb"}',
        b'{"id": "\\ud800"}',
        b'{"id": "' + b"x" * 201 + b'"}',
    ],
)
async def test_an_id_that_is_none_leaves_the_persona_in_doubt(body: bytes) -> None:
    outcome, _ = await create_with(answer(201, body))
    assert isinstance(outcome, PostUncertain)
    assert str(outcome) == "Mavera, persona 'Segment CDP: High Value': the answer 201 names no persona"


@pytest.mark.parametrize(
    "field",
    [
        '"name": null',
        '"name": ["x"]',
        '"description": 7',
        '"description": {"a": 1}',
        '"created_at": {"a": 1}',
        '"created_at": [1]',
        '"credits_charged": "many"',
        '"credits_charged": -1',
        '"credits_charged": 1.5',
        '"credits_charged": NaN',
        '"credits_charged": 1e999',
        '"credits_charged": ' + "9" * 400,
        '"credits_charged": ' + "9" * 5000,
        '"details": ' + '{"a":' * 900 + "1" + "}" * 900,
        '"details": "\\ud800"',
        '"model_dump": 1, "reference": 2, "model_extra": 3, "__class__": 4',
    ],
)
async def test_whatever_else_the_answer_says_a_persona_that_was_paid_for_has_its_id(field: str) -> None:
    outcome, _ = await create_with(answer(201, f'{{"id": "per_1", {field}}}'.encode()))
    assert isinstance(outcome, Persona)
    assert outcome.id == "per_1"
    assert outcome.credits_charged is None
    assert outcome.reference is None


async def test_a_refused_connection_has_bought_nothing() -> None:
    async with serving(answer()) as web:
        url = web.url
    async with client(url) as mavera:
        with pytest.raises(Retry, match="cannot connect") as caught:
            await mavera.create(payload(), yes)
    assert caught.value.code == "mavera_unavailable"


# Statuses

ERROR = b'{"error": {"message": "So it is", "type": "t", "code": "c_1", "param": "name"}}'


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize(
    ("status", "kind", "code", "words"),
    [
        (400, Permanent, "mavera_validation", "(c_1, name)"),
        (401, ResumableStop, "mavera_unauthorized", "Check MAVERA_API_KEY"),
        (402, ResumableStop, "insufficient_credits", "Top up the account"),
        (403, ResumableStop, "mavera_forbidden", "Check the rights of the key"),
        (413, Permanent, "mavera_validation", "(c_1, name)"),
        (422, Permanent, "mavera_validation", "(c_1, name)"),
        (429, WaitUntil, "mavera_rate_limit", ""),
    ],
)
async def test_each_refusal_has_its_meaning(
    method: str, status: int, kind: type[ApiError], code: str, words: str
) -> None:
    error = await refusal(status, method, ERROR, {"X-Request-Id": "req_7"})
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert (error.code, error.request_id, error.resumable) == (code, "req_7", kind is not Permanent)
    assert str(error).startswith("Mavera, ")
    assert f": {status} So it is" in str(error)
    assert words in f"{error} {error.hint}"
    assert str(error).endswith("(Request-Id req_7)")


@pytest.mark.parametrize(
    ("body", "detail"),
    [(b"{}", "400"), (b'{"error": {"code": "c"}}', "400 (c)"), (b'{"error": {"param": "p"}}', "400 (p)")],
)
async def test_a_validation_error_shows_as_much_as_there_is(body: bytes, detail: str) -> None:
    assert str(await refusal(400, "GET", body)) == f"Mavera, list of personas: {detail}"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_such_route_points_at_the_base_url(method: str) -> None:
    error = await refusal(404, method)
    assert isinstance(error, ResumableStop)
    assert error.code == "mavera_not_found"
    assert "Check MAVERA_BASE_URL" in error.hint


@pytest.mark.parametrize("status", [404, 410])
async def test_a_persona_that_someone_deleted_is_gone(status: int) -> None:
    assert isinstance(await refusal(status, "PATCH"), PersonaGone)


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("status", [206, 300, 304, 408, 409, 423, 425, 500, 503])
async def test_what_may_be_repeated_is_repeated(method: str, status: int) -> None:
    error = await refusal(status, method)
    assert type(error) is Retry
    assert error.code == "mavera_unavailable"


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize(("header", "wait_s"), [("3", 3), ("Tue, 14 Nov 2023 22:13:25 GMT", 5), ("-1", None)])
async def test_retry_after_is_handed_on(method: str, header: str, wait_s: float | None) -> None:
    error = await refusal(429, method, headers={"Retry-After": header})
    assert isinstance(error, WaitUntil)
    assert error.wait_s == wait_s


@pytest.mark.parametrize("kind", ["drop", "truncate", "oversize"])
async def test_a_patch_without_an_answer_may_be_repeated(kind: str) -> None:
    fault = Fault("mavera", kind, route="update", size_mb=2)  # type: ignore[arg-type]
    async with sandbox(fault) as box, client(box.mavera_url) as mavera:
        persona = await mavera.create(payload(), yes)
        with pytest.raises(Retry) as caught:
            await mavera.update(persona.id, payload())
    assert caught.value.code == "mavera_unavailable"


async def test_a_patch_that_is_redirected_stops() -> None:
    async with sandbox(Fault("mavera", "redirect", route="update")) as box, client(box.mavera_url) as mavera:
        persona = await mavera.create(payload(), yes)
        with pytest.raises(ResumableStop, match="redirects a PATCH") as caught:
            await mavera.update(persona.id, payload())
    assert caught.value.code == "mavera_unreachable"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("body", [b'{"error": {"message": "No such account"}}', b'{"errors": ["No such account"]}'])
async def test_an_error_body_with_status_200_is_quoted_and_stops(method: str, body: bytes) -> None:
    error = await refusal(200, method, body)
    assert isinstance(error, ResumableStop)
    assert error.code == "mavera_error"
    assert "No such account" in str(error)


async def test_a_post_that_meets_a_conflict_is_in_doubt_and_quoted() -> None:
    outcome, sent = await create_with(answer(409, b'{"error": {"message": "Already under way"}}'))
    assert isinstance(outcome, PostUncertain)
    assert "409 Already under way" in str(outcome)
    assert sent == 1


@pytest.mark.parametrize("status", [423, 425])
async def test_a_post_that_is_refused_for_now_is_repeated(status: int) -> None:
    assert type(await refusal(status, "POST")) is Retry


async def test_a_post_whose_answer_is_an_error_body_with_status_200_is_in_doubt() -> None:
    outcome, sent = await create_with(answer(200, b'{"error": {"message": "x"}}'))
    assert isinstance(outcome, PostUncertain)
    assert sent == 1


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_retry_after_counts_on_a_503_too(method: str) -> None:
    error = await refusal(503, method, headers={"Retry-After": "3"})
    assert isinstance(error, WaitUntil)
    assert (error.code, error.wait_s) == ("mavera_unavailable", 3)


async def test_a_post_in_doubt_says_how_long_to_wait() -> None:
    outcome, _ = await create_with(answer(503, b"", {"Retry-After": "3"}))
    assert isinstance(outcome, PostUncertain)
    assert outcome.wait_s == 3


async def test_words_outside_of_an_error_object_are_quoted() -> None:
    error = await refusal(400, "POST", b'{"message": "description too long", "statusCode": 400}')
    assert "400 description too long" in str(error)


async def test_a_402_is_one_though_its_body_is_broken() -> None:
    error, sent = await create_with(answer(402, ERROR)[:-1])
    assert isinstance(error, ResumableStop)
    assert error.code == "insufficient_credits"
    assert sent == 1


# Updating


async def test_a_persona_is_updated() -> None:
    async with sandbox() as box, client(box.mavera_url) as mavera:
        created = await mavera.create(payload(), yes)
        updated = await mavera.update(created.id, payload("Segment CDP: Growth"))
        assert updated
        assert (updated.id, updated.name) == (created.id, "Segment CDP: Growth")
        assert box.patches == [(created.id, orjson.loads(orjson.dumps(payload("Segment CDP: Growth").as_json())))]


async def test_an_unknown_persona_is_gone_in_the_sandbox_too() -> None:
    async with sandbox() as box, client(box.mavera_url) as mavera:
        with pytest.raises(PersonaGone, match="update of persona per_0: 404"):
            await mavera.update("per_0", payload())


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b"thanks", b"{}"])
async def test_an_update_counts_though_its_answer_says_nothing(status: int, body: bytes) -> None:
    if status == 204:
        body = b""
    async with serving(answer(status, body)) as web, client(web.url) as mavera:
        assert await mavera.update("per_1", payload()) is None
    assert web.requests[0].method == "PATCH"


@pytest.mark.parametrize(
    ("persona_id", "path"),
    [
        ("per_1", "/v1/personas/per_1"),
        ("../keys", "/v1/personas/..%2Fkeys"),
        ("a?b#c", "/v1/personas/a%3Fb%23c"),
        ("a%2Fb", "/v1/personas/a%252Fb"),
    ],
)
async def test_an_id_stays_one_part_of_the_path(persona_id: str, path: str) -> None:
    async with serving(answer(200)) as web, client(web.url + "/v1") as mavera:
        await mavera.update(persona_id, payload())
    assert web.requests[0].target == path


# Listing


async def list_of(body: object) -> ListPage:
    async with serving(answer(200, orjson.dumps(body))) as web, client(web.url) as mavera:
        return await mavera.list_page(FAMILY, None)


async def test_a_family_is_searched_for() -> None:
    async with serving(answer(200, b'{"data": []}')) as web, client(web.url) as mavera:
        await mavera.list_page(FAMILY, None)
        await mavera.list_page(FAMILY, "c&d")
    assert [request.target for request in web.requests] == [
        "/personas?search=0123456789&limit=100",
        "/personas?search=0123456789&limit=100&cursor=c%26d",
    ]


@pytest.mark.parametrize("status", [400, 422])
async def test_a_search_that_is_refused_is_left_out_from_then_on(status: int) -> None:
    async with serving(answer(status), answer(200, b'{"data": [{"id": "per_1"}]}')) as web, client(web.url) as mavera:
        assert [one.id for one in (await mavera.list_page(FAMILY, None)).personas] == ["per_1"]
        await mavera.list_page(FAMILY, "c")
    assert [request.target for request in web.requests] == [
        "/personas?search=0123456789&limit=100",
        "/personas?limit=100",
        "/personas?limit=100&cursor=c",
    ]


async def test_only_the_family_is_found_by_its_references() -> None:
    other = Reference("9876543210", "01234567")
    async with sandbox(stock=3) as box, client(box.mavera_url) as mavera:
        mine = await mavera.create(payload(), yes)
        await mavera.create(payload(reference=other), yes)
        assert await mavera.list_page(FAMILY, None) == ListPage([await _listed(mavera, mine.id)], 1, None, "")


async def _listed(mavera: MaveraClient, persona_id: str) -> Persona:
    found = (await mavera.list_page("Segment", None)).personas
    return next(persona for persona in found if persona.id == persona_id)


async def pages_of(mavera: MaveraClient) -> list[ListPage]:
    return [page async for page in list_pages(mavera, FAMILY, lambda request: request())]


@pytest.mark.parametrize(("number", "pages"), [(0, [0]), (99, [99]), (100, [100]), (101, [100, 1])])
async def test_a_listing_is_followed_to_its_end(number: int, pages: list[int]) -> None:
    async with sandbox() as box, client(box.mavera_url) as mavera:
        for _ in range(number):
            await mavera.create(payload(), yes)
        found = await pages_of(mavera)
    assert [len(page.personas) for page in found] == pages
    assert not any(page.doubt for page in found)


async def test_a_full_page_that_says_nothing_may_not_be_the_last() -> None:
    async with sandbox(next_cursor=False) as box, client(box.mavera_url) as mavera:
        for number in range(100):
            assert not (await mavera.list_page(FAMILY, None)).doubt, number
            await mavera.create(payload(), yes)
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
    async with serving(answer(200, body)) as web, client(web.url) as mavera:
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
    error = await refusal(200, "GET", body, {"Request-Id": "req_7"})
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
    async with serving(*answers) as web, client(web.url) as mavera:
        found = await pages_of(mavera)
    assert len(web.requests) == 3
    assert [page.doubt for page in found] == ["", "", "its cursor repeats"]


async def test_a_page_in_doubt_is_asked_for_again_and_its_last_answer_counts() -> None:
    doubtful, good = b'{"data": [], "has_more": true}', b'{"data": [], "has_more": false}'
    async with serving(answer(200, doubtful), answer(200, good)) as web, client(web.url) as mavera:
        assert not (await pages_of(mavera))[-1].doubt
    assert len(web.requests) == 2
    async with serving(answer(200, doubtful)) as web, client(web.url) as mavera:
        assert (await pages_of(mavera))[-1].doubt
    assert len(web.requests) == 3


@pytest.mark.parametrize(
    ("header", "rate"), [("240", 240), ("60", 60), ("", None), ("many", None), ("-1", None), ("9" * 400, None)]
)
async def test_the_tier_is_asked_for_by_a_free_call(header: str, rate: int | None) -> None:
    async with serving(answer(200, b"{}", {"X-RateLimit-Limit": header})) as web, client(web.url) as mavera:
        assert await mavera.rate_limit() == rate
    assert web.requests[0].target == "/personas?limit=1"


async def test_a_wrong_key_is_found_by_a_free_call() -> None:
    async with sandbox() as box, client(box.mavera_url, key="wrong") as mavera:
        with pytest.raises(ResumableStop) as caught:
            await mavera.list_page(FAMILY, None)
    assert "MAVERA_API_KEY" in caught.value.hint
