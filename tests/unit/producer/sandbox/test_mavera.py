"""Mavera in the sandbox: creations that cost, updates, keys and limits."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.sandbox.mavera_requests import BODY, KEY, mavera_sandbox


async def test_a_creation_answers_201_and_is_kept_word_for_word() -> None:
    async with mavera_sandbox() as client:
        status, _, answer = await client.ask("POST", body=BODY)
        (persona,) = client.box.personas
        assert status == 201
        assert client.box.posts == [BODY]
        assert persona.body == BODY
        assert answer["created_at"].endswith("Z")
        del answer["created_at"]
        assert answer == {
            "id": persona.id,
            "object": "custom_persona",
            "name": BODY["name"],
            "category": None,
            "description": BODY["description"],
            "pipeline_type": None,
            "type": None,
            "is_custom": True,
            "credits_charged": 300,
            "details": {"demographic": BODY["demographic"], "psychographic": BODY["psychographic"]},
        }


async def test_a_repeated_creation_makes_another_persona() -> None:
    async with mavera_sandbox() as client:
        first = (await client.ask("POST", body=BODY))[2]["id"]
        second = (await client.ask("POST", body=BODY))[2]["id"]
        assert first != second
        assert [persona.id for persona in client.box.personas] == [first, second]


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_field", "name"),
        ({"name": "x"}, "invalid_field", "name"),
        ({"name": "x" * 101}, "invalid_field", "name"),
        ({"name": 12}, "invalid_field", "name"),
        (["name"], "invalid_json", None),
    ],
)
async def test_a_bad_creation_is_refused_and_costs_nothing(body: object, code: str, param: str | None) -> None:
    async with mavera_sandbox(credits=300) as client:
        status, _, answer = await client.ask("POST", body=body)
        assert status == 400
        assert answer["error"] == {
            "message": answer["error"]["message"],
            "type": "validation_error",
            "code": code,
            "param": param,
        }
        assert client.box.personas == []
        assert client.box.posts == []
        assert client.box.credits == 300


async def test_a_body_that_is_not_json_is_refused() -> None:
    async with (
        mavera_sandbox() as client,
        client.session.post(client.box.mavera_url + "/personas", data=b"\xff{", headers=KEY) as response,
    ):
        assert response.status == 400


async def test_names_of_2_and_of_100_characters_are_taken() -> None:
    async with mavera_sandbox() as client:
        for name in ("ab", "é" * 100):
            assert (await client.ask("POST", body={"name": name}))[0] == 201


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "missing_api_key"), ({"Authorization": "Bearer mvra_live_1"}, "invalid_api_key")],
)
async def test_a_wrong_key_is_an_authentication_error(headers: dict[str, str], code: str) -> None:
    async with mavera_sandbox() as client:
        status, _, body = await client.ask("GET", headers=headers)
        assert (status, body["error"]["type"], body["error"]["code"]) == (401, "authentication_error", code)


async def test_any_key_can_be_allowed() -> None:
    async with mavera_sandbox(mavera_key=None) as client:
        assert (await client.ask("GET", headers={}))[0] == 200


async def test_credits_run_out() -> None:
    async with mavera_sandbox(credits=700) as client:
        statuses = [(await client.ask("POST", body=BODY))[0] for _ in range(3)]
        assert statuses == [201, 201, 402]
        _, _, body = await client.ask("POST", body=BODY)
        assert body["error"]["type"] == "insufficient_credits"
        assert body["error"]["code"] == "credits_exhausted"
        assert client.box.credits == 100
        client.box.set_options(credits=300)
        assert (await client.ask("POST", body=BODY))[0] == 201
        assert len(client.box.personas) == 3


async def test_an_update_changes_the_fields_it_names_and_charges_nothing() -> None:
    async with mavera_sandbox(credits=300) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        status, _, answer = await client.ask("PATCH", "/" + persona_id, {"description": "new"})
        assert (status, answer["description"], answer["name"]) == (200, "new", BODY["name"])
        assert answer["credits_charged"] == 300
        assert client.box.credits == 0
        assert client.box.personas[0].updates == [{"description": "new"}]
        assert client.box.patches == [(persona_id, {"description": "new"})]
        assert client.box.personas[0].body == BODY


async def test_one_persona_is_shown_as_its_last_update_showed_it() -> None:
    async with mavera_sandbox() as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        updated = (await client.ask("PATCH", "/" + persona_id, {"name": "Other"}))[2]
        assert (await client.ask("GET", "/" + persona_id))[::2] == (200, updated)
        assert (await client.ask("GET", "/per_unknown"))[0] == 404
        assert client.box.journal.count("mavera.read") == 2


async def test_an_update_can_be_refused() -> None:
    async with mavera_sandbox(stock_personas=1) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        assert (await client.ask("PATCH", "/" + persona_id, {"name": ""}))[0] == 400
        assert (await client.ask("PATCH", "/per_unknown", {"name": "ok"}))[0] == 404
        assert (await client.ask("PATCH", "/per_stock_0", {"name": "ok"}))[0] == 403
        assert client.box.patches == []


async def test_a_deleted_persona_is_gone() -> None:
    async with mavera_sandbox() as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        assert (await client.ask("DELETE", "/" + persona_id))[2] == {"id": persona_id, "deleted": True}
        assert (await client.ask("DELETE", "/" + persona_id))[0] == 404
        assert (await client.ask("PATCH", "/" + persona_id, {"name": "ok"}))[0] == 404
        assert await client.names() == []
        other = (await client.ask("POST", body=BODY))[2]["id"]
        assert client.box.delete_persona(other)
        assert not client.box.delete_persona(other)


@pytest.mark.parametrize(("method", "path"), [("PUT", ""), ("PUT", "/per_1"), ("POST", "/per_1")])
async def test_no_other_route_exists(method: str, path: str) -> None:
    async with mavera_sandbox() as client:
        assert (await client.ask(method, path))[0] == 404
        assert client.box.journal.count("mavera.unknown", 404) == 1


async def test_every_answer_tells_the_limit_and_the_one_over_it_to_wait() -> None:
    async with mavera_sandbox(mavera_limit=2) as client:
        answers = [await client.ask("GET"), await client.ask("POST", body={}), await client.ask("GET")]
        assert [status for status, _, _ in answers] == [200, 400, 429]
        assert [headers["X-RateLimit-Remaining"] for _, headers, _ in answers] == ["1", "0", "0"]
        assert {headers["X-RateLimit-Limit"] for _, headers, _ in answers} == {"2"}
        _, headers, body = answers[2]
        assert body["error"]["type"] == "rate_limit_error"
        assert 1 <= int(headers["Retry-After"]) <= 60
        assert int(headers["X-RateLimit-Reset"]) > 1_600_000_000
        client.box.set_options(mavera_limit=5)
        assert (await client.ask("GET"))[1]["X-RateLimit-Remaining"] == "4"


async def test_without_a_limit_no_answer_names_one() -> None:
    async with mavera_sandbox() as client:
        assert "X-RateLimit-Limit" not in (await client.ask("GET"))[1]


async def test_each_key_has_its_own_limit() -> None:
    async with mavera_sandbox(mavera_limit=1, mavera_key=None) as client:
        statuses = [(await client.ask("GET", headers={"Authorization": f"Bearer mvra_{key}"}))[0] for key in "aab"]
        assert statuses == [200, 429, 200]


async def test_latency_comes_before_the_effect() -> None:
    async with mavera_sandbox(mavera_latency_s=3600) as client:
        asking = asyncio.create_task(client.ask("POST", body=BODY))
        await client.box.journal.wait_arrived("mavera.create")
        assert client.box.posts == []
        asking.cancel()
        await asyncio.wait({asking})
