"""Faults of Mavera in the sandbox: a persona without an answer, ignored fields, and errors."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault
from producer.sandbox.journal import NO_ANSWER
from tests.support.sandbox.mavera_requests import BODY, KEY, mavera_sandbox


async def test_a_persona_whose_answer_is_lost_is_there_once() -> None:
    async with mavera_sandbox(credits=600, faults=(Fault("mavera", "created_lost", route="create", at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        assert await client.names() == [BODY["name"]]
        assert client.box.credits == 300
        assert client.box.journal.count("mavera.create", NO_ANSWER) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_persona_can_be_there_although_the_answer_is_an_error(status: int) -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "created_error", status=status, at=1),)) as client:
        answered, _, body = await client.ask("POST", body=BODY)
        assert (answered, body["error"]["type"]) == (status, "api_error")
        assert await client.names() == [BODY["name"]]


async def test_a_persona_can_come_after_its_client_has_gone() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "created_late", seconds=0.01, at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        await client.box.journal.wait_arrived("mavera.late")
        assert await client.names() == [BODY["name"]]


async def test_a_persona_that_would_come_late_does_not_outlive_the_sandbox() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "created_late", seconds=3600.0, at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
    assert client.box.personas == []


async def test_a_slow_creation_happens_though_its_client_gave_up() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "hold", route="create", at=1),)) as client:
        url = client.box.mavera_url + "/personas"
        asking = asyncio.ensure_future(client.session.post(url, json=BODY, headers=KEY))
        await client.box.journal.wait_arrived("mavera.create")
        asking.cancel()
        await asyncio.wait({asking})
        assert client.box.personas == []
        client.box.clear_faults()
        await client.box.journal.wait_answered("mavera.create")
        assert await client.names() == [BODY["name"]]


@pytest.mark.parametrize(
    ("field", "kept"),
    [
        ("demographic", {"psychographic": BODY["psychographic"]}),
        (
            "psychographic.avg_ltv",
            {"demographic": BODY["demographic"], "psychographic": {"cluster": "high_value"}},
        ),
        (
            "name.inner",
            {"demographic": BODY["demographic"], "psychographic": BODY["psychographic"]},
        ),
    ],
)
async def test_a_field_can_be_dropped_without_a_word(field: str, kept: dict[str, Any]) -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "ignore_field", field=field),)) as client:
        status, _, answer = await client.ask("POST", body=BODY)
        assert (status, answer["details"]) == (201, kept)
        assert client.box.posts == [BODY]


async def test_a_dropped_field_of_an_update_keeps_its_old_value() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "ignore_field", route="update", field="description"),)) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        _, _, answer = await client.ask("PATCH", "/" + persona_id, {"name": "New", "description": "new"})
        assert (answer["name"], answer["description"]) == ("New", BODY["description"])


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, "authentication_error", "revoked_api_key"),
        (402, "insufficient_credits", "budget_exceeded"),
        (403, "permission_error", None),
        (429, "rate_limit_error", None),
        (500, "api_error", None),
    ],
)
async def test_an_error_can_be_ordered_with_its_code(status: int, kind: str, code: str | None) -> None:
    fault = Fault("mavera", "status", status=status, code=code, retry_after="7", at=1)
    async with mavera_sandbox(mavera_limit=100, faults=(fault,)) as client:
        answered, headers, body = await client.ask("POST", body=BODY)
        assert (answered, body["error"]["type"]) == (status, kind)
        assert code is None or body["error"]["code"] == code
        assert headers["Retry-After"] == "7"
        assert headers["X-RateLimit-Limit"] == "100"
        assert client.box.personas == []


async def test_an_error_can_be_html() -> None:
    async with (
        mavera_sandbox(faults=(Fault("mavera", "status", status=503, body="html"),)) as client,
        client.session.get(client.box.mavera_url + "/personas", headers=KEY) as response,
    ):
        assert (response.status, response.content_type) == (503, "text/html")


async def test_an_answer_cut_in_two_leaves_the_persona() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "truncate", route="create"),)) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.ask("POST", body=BODY)
        assert len(client.box.personas) == 1


async def test_a_dropped_request_changes_nothing() -> None:
    async with mavera_sandbox(faults=(Fault("mavera", "drop", method="POST"),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        assert await client.names() == []
