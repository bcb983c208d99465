"""Which error each answer of Mavera becomes: what may be repeated, what stops, what leaves a persona in doubt."""

from __future__ import annotations

import pytest

from producer.sandbox import Fault
from tests.support.mavera_client import (
    create_with_answer,
    error_of,
    mavera_client,
    mavera_sandbox,
    permit,
    persona_payload,
)
from tests.support.servers.web_server import answer
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.mavera import PersonaGone, PostUncertain

ERROR = b'{"error": {"message": "Not valid", "type": "t", "code": "c_1", "param": "name"}}'


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
    error = await error_of(status, method, ERROR, {"X-Request-Id": "req_7"})
    assert type(error) is kind
    assert isinstance(error, ApiError)
    assert (error.code, error.request_id, error.resumable) == (code, "req_7", kind is not Permanent)
    assert str(error).startswith("Mavera, ")
    assert f": {status} Not valid" in str(error)
    assert words in f"{error} {error.hint}"
    assert str(error).endswith("(Request-Id req_7)")


@pytest.mark.parametrize(
    ("body", "detail"),
    [(b"{}", "400"), (b'{"error": {"code": "c"}}', "400 (c)"), (b'{"error": {"param": "p"}}', "400 (p)")],
)
async def test_a_validation_error_shows_as_much_as_there_is(body: bytes, detail: str) -> None:
    assert str(await error_of(400, "GET", body)) == f"Mavera, list of personas: {detail}"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_such_route_points_at_the_base_url(method: str) -> None:
    error = await error_of(404, method)
    assert isinstance(error, ResumableStop)
    assert error.code == "mavera_not_found"
    assert "Check MAVERA_BASE_URL" in error.hint


@pytest.mark.parametrize("status", [404, 410])
async def test_a_persona_that_someone_deleted_is_gone(status: int) -> None:
    assert isinstance(await error_of(status, "PATCH"), PersonaGone)


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("status", [206, 300, 304, 408, 409, 423, 425, 500, 503])
async def test_what_may_be_repeated_is_repeated(method: str, status: int) -> None:
    error = await error_of(status, method)
    assert type(error) is Retry
    assert error.code == "mavera_unavailable"


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize(("header", "wait_s"), [("3", 3), ("Tue, 14 Nov 2023 22:13:25 GMT", 5), ("-1", None)])
async def test_retry_after_is_handed_on(method: str, header: str, wait_s: float | None) -> None:
    error = await error_of(429, method, headers={"Retry-After": header})
    assert isinstance(error, WaitUntil)
    assert error.wait_s == wait_s


@pytest.mark.parametrize("kind", ["drop", "truncate", "oversize"])
async def test_a_patch_without_an_answer_may_be_repeated(kind: str) -> None:
    fault = Fault("mavera", kind, route="update", size_mb=2)  # type: ignore[arg-type]
    async with mavera_sandbox(fault) as box, mavera_client(box.mavera_url) as mavera:
        persona = await mavera.create(persona_payload(), permit)
        with pytest.raises(Retry) as caught:
            await mavera.update(persona.id, persona_payload())
    assert caught.value.code == "mavera_unavailable"


async def test_a_patch_that_is_redirected_stops() -> None:
    async with (
        mavera_sandbox(Fault("mavera", "redirect", route="update")) as box,
        mavera_client(box.mavera_url) as mavera,
    ):
        persona = await mavera.create(persona_payload(), permit)
        with pytest.raises(ResumableStop, match="redirects a PATCH") as caught:
            await mavera.update(persona.id, persona_payload())
    assert caught.value.code == "mavera_unreachable"


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("body", [b'{"error": {"message": "No such account"}}', b'{"errors": ["No such account"]}'])
async def test_an_error_body_with_status_200_is_quoted_and_stops(method: str, body: bytes) -> None:
    error = await error_of(200, method, body)
    assert isinstance(error, ResumableStop)
    assert error.code == "mavera_error"
    assert "No such account" in str(error)


async def test_a_post_that_meets_a_conflict_is_in_doubt_and_quoted() -> None:
    outcome, sent = await create_with_answer(answer(409, b'{"error": {"message": "Already under way"}}'))
    assert isinstance(outcome, PostUncertain)
    assert "409 Already under way" in str(outcome)
    assert sent == 1


@pytest.mark.parametrize("status", [423, 425])
async def test_a_post_that_is_refused_for_now_is_repeated(status: int) -> None:
    assert type(await error_of(status, "POST")) is Retry


async def test_a_post_whose_answer_is_an_error_body_with_status_200_is_in_doubt() -> None:
    outcome, sent = await create_with_answer(answer(200, b'{"error": {"message": "x"}}'))
    assert isinstance(outcome, PostUncertain)
    assert sent == 1


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_retry_after_counts_on_a_503_too(method: str) -> None:
    error = await error_of(503, method, headers={"Retry-After": "3"})
    assert isinstance(error, WaitUntil)
    assert (error.code, error.wait_s) == ("mavera_unavailable", 3)


async def test_a_post_in_doubt_says_how_long_to_wait() -> None:
    outcome, _ = await create_with_answer(answer(503, b"", {"Retry-After": "3"}))
    assert isinstance(outcome, PostUncertain)
    assert outcome.wait_s == 3


async def test_words_outside_of_an_error_object_are_quoted() -> None:
    error = await error_of(400, "POST", b'{"message": "description too long", "statusCode": 400}')
    assert "400 description too long" in str(error)


async def test_a_402_is_one_though_its_body_is_broken() -> None:
    error, sent = await create_with_answer(answer(402, ERROR)[:-1])
    assert isinstance(error, ResumableStop)
    assert error.code == "insufficient_credits"
    assert sent == 1
