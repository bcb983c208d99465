"""Mavera in the sandbox: creations that cost, updates, the list with its lag, and faults that lose an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions
from producer.sandbox.journal import NO_ANSWER

KEY = {"Authorization": "Bearer mvra_test_sandbox"}
BODY = {
    "name": "Segment CDP: High Value",
    "description": "High Value segment. Ref: ab12",
    "demographic": {"industries": ["SaaS"], "plans": ["pro"]},
    "psychographic": {"cluster": "high_value", "avg_ltv": 1200.0},
}


class Client:
    def __init__(self, box: Sandbox, session: aiohttp.ClientSession) -> None:
        self.box, self.session = box, session

    async def ask(
        self, method: str, path: str = "", body: object = None, headers: Mapping[str, str] = KEY, **params: str
    ) -> tuple[int, Mapping[str, str], Any]:
        async with self.session.request(
            method, f"{self.box.mavera_url}/personas{path}", json=body, headers=headers, params=params
        ) as response:
            return response.status, response.headers, await response.json()

    async def names(self, **params: Any) -> list[str]:
        _, _, body = await self.ask("GET", **params)
        return [row["name"] for row in body["data"]]


@asynccontextmanager
async def mavera(**options: Any) -> AsyncIterator[Client]:
    async with Sandbox(SandboxOptions({}, **options)) as box, aiohttp.ClientSession() as session:
        yield Client(box, session)


async def test_a_creation_answers_201_and_is_kept_word_for_word() -> None:
    async with mavera() as client:
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
    async with mavera() as client:
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
    async with mavera(credits=300) as client:
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
        mavera() as client,
        client.session.post(client.box.mavera_url + "/personas", data=b"\xff{", headers=KEY) as response,
    ):
        assert response.status == 400


async def test_names_of_2_and_of_100_characters_are_taken() -> None:
    async with mavera() as client:
        for name in ("ab", "é" * 100):
            assert (await client.ask("POST", body={"name": name}))[0] == 201


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, "missing_api_key"), ({"Authorization": "Bearer mvra_live_1"}, "invalid_api_key")],
)
async def test_a_wrong_key_is_an_authentication_error(headers: dict[str, str], code: str) -> None:
    async with mavera() as client:
        status, _, body = await client.ask("GET", headers=headers)
        assert (status, body["error"]["type"], body["error"]["code"]) == (401, "authentication_error", code)


async def test_any_key_can_be_allowed() -> None:
    async with mavera(mavera_key=None) as client:
        assert (await client.ask("GET", headers={}))[0] == 200


async def test_credits_run_out() -> None:
    async with mavera(credits=700) as client:
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
    async with mavera(credits=300) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        status, _, answer = await client.ask("PATCH", "/" + persona_id, {"description": "new"})
        assert (status, answer["description"], answer["name"]) == (200, "new", BODY["name"])
        assert answer["credits_charged"] == 300
        assert client.box.credits == 0
        assert client.box.personas[0].updates == [{"description": "new"}]
        assert client.box.patches == [(persona_id, {"description": "new"})]
        assert client.box.personas[0].body == BODY


async def test_one_persona_is_shown_as_its_last_update_showed_it() -> None:
    async with mavera() as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        updated = (await client.ask("PATCH", "/" + persona_id, {"name": "Other"}))[2]
        assert (await client.ask("GET", "/" + persona_id))[::2] == (200, updated)
        assert (await client.ask("GET", "/per_unknown"))[0] == 404
        assert client.box.journal.count("mavera.read") == 2


async def test_an_update_can_be_refused() -> None:
    async with mavera(stock_personas=1) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        assert (await client.ask("PATCH", "/" + persona_id, {"name": ""}))[0] == 400
        assert (await client.ask("PATCH", "/per_unknown", {"name": "ok"}))[0] == 404
        assert (await client.ask("PATCH", "/per_stock_0", {"name": "ok"}))[0] == 403
        assert client.box.patches == []


async def test_a_deleted_persona_is_gone() -> None:
    async with mavera() as client:
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
    async with mavera() as client:
        assert (await client.ask(method, path))[0] == 404
        assert client.box.journal.count("mavera.unknown", 404) == 1


async def _fill(client: Client, number: int) -> None:
    for index in range(number):
        await client.ask("POST", body={"name": f"Persona {index}"})


async def test_the_list_is_paged_newest_first() -> None:
    async with mavera() as client:
        await _fill(client, 5)
        _, _, first = await client.ask("GET", limit="2")
        assert first["object"] == "list"
        assert [row["name"] for row in first["data"]] == ["Persona 4", "Persona 3"]
        assert set(first["data"][0]) == {
            "id",
            "object",
            "name",
            "category",
            "description",
            "is_custom",
            "created_at",
        }
        _, _, second = await client.ask("GET", limit="2", cursor=first["next_cursor"])
        _, _, third = await client.ask("GET", limit="2", cursor=second["next_cursor"])
        assert [row["name"] for row in third["data"]] == ["Persona 0"]
        assert (third["has_more"], third["next_cursor"]) == (False, None)


async def test_the_list_shows_50_unless_asked_for_up_to_100() -> None:
    async with mavera(stock_personas=120) as client:
        assert len(await client.names()) == 50
        assert len(await client.names(limit="100")) == 100
        for limit in ("101", "0", "x"):
            assert (await client.ask("GET", limit=limit))[0] == 400
        assert (await client.ask("GET", cursor="invented"))[0] == 400


async def test_a_full_page_can_be_without_a_cursor() -> None:
    async with mavera(stock_personas=120, mavera_next_cursor=False) as client:
        _, _, body = await client.ask("GET", limit="100")
        assert len(body["data"]) == 100
        assert set(body) == {"object", "data"}


async def test_the_list_can_cut_descriptions_while_a_search_covers_the_whole() -> None:
    async with mavera(mavera_shown=10) as client:
        _, _, answer = await client.ask("POST", body=BODY)
        assert answer["description"] == BODY["description"]
        _, _, body = await client.ask("GET", search="ab12")
        assert [row["description"] for row in body["data"]] == ["High Value"]
        client.box.set_options(mavera_shown=0)
        _, _, body = await client.ask("GET")
        assert "description" not in body["data"][0]
        assert (await client.ask("GET", "/" + answer["id"]))[2]["description"] == BODY["description"]
        client.box.set_options(mavera_reads=False)
        assert (await client.ask("GET", "/" + answer["id"]))[0] == 404


async def test_the_list_can_begin_with_odd_rows() -> None:
    async with mavera(mavera_odd_rows=True, stock_personas=1) as client:
        _, _, body = await client.ask("GET")
        assert None in body["data"]
        assert [row["id"] for row in body["data"] if isinstance(row, dict) and "id" in row][-1] == "per_stock_0"


async def test_the_list_is_searched_and_filtered() -> None:
    async with mavera(stock_personas=2) as client:
        await client.ask("POST", body=BODY)
        await client.ask("POST", body={"name": "Other", "category": "cdp"})
        assert await client.names(search="REF: AB12") == [BODY["name"]]
        assert await client.names(search="segment cdp") == [BODY["name"]]
        assert await client.names(search="nothing") == []
        assert await client.names(category="cdp") == ["Other"]
        for name in ("custom", "is_custom", "custom_only"):
            assert len(await client.names(**{name: "true"})) == 2
        assert len(await client.names()) == 4
        assert len(client.box.personas) == 2


async def test_a_created_persona_is_listed_only_after_the_lag() -> None:
    async with mavera(listing_lag_s=3600.0) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        assert await client.names() == []
        assert (await client.ask("PATCH", "/" + persona_id, {"description": "new"}))[0] == 200
        client.box.personas[0].listed_from -= 3600.0
        assert await client.names() == [BODY["name"]]


async def test_every_answer_tells_the_limit_and_the_one_over_it_to_wait() -> None:
    async with mavera(mavera_limit=2) as client:
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
    async with mavera() as client:
        assert "X-RateLimit-Limit" not in (await client.ask("GET"))[1]


async def test_each_key_has_its_own_limit() -> None:
    async with mavera(mavera_limit=1, mavera_key=None) as client:
        statuses = [(await client.ask("GET", headers={"Authorization": f"Bearer mvra_{key}"}))[0] for key in "aab"]
        assert statuses == [200, 429, 200]


async def test_a_persona_whose_answer_is_lost_is_there_once() -> None:
    async with mavera(credits=600, faults=(Fault("mavera", "created_lost", route="create", at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        assert await client.names() == [BODY["name"]]
        assert client.box.credits == 300
        assert client.box.journal.count("mavera.create", NO_ANSWER) == 1


@pytest.mark.parametrize("status", [500, 503])
async def test_a_persona_can_be_there_although_the_answer_is_an_error(status: int) -> None:
    async with mavera(faults=(Fault("mavera", "created_error", status=status, at=1),)) as client:
        answered, _, body = await client.ask("POST", body=BODY)
        assert (answered, body["error"]["type"]) == (status, "api_error")
        assert await client.names() == [BODY["name"]]


async def test_a_persona_can_come_after_its_client_has_gone() -> None:
    async with mavera(faults=(Fault("mavera", "created_late", seconds=0.01, at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        await client.box.journal.wait_arrived("mavera.late")
        assert await client.names() == [BODY["name"]]


async def test_a_persona_that_would_come_late_does_not_outlive_the_sandbox() -> None:
    async with mavera(faults=(Fault("mavera", "created_late", seconds=3600.0, at=1),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
    assert client.box.personas == []


async def test_a_slow_creation_happens_though_its_client_gave_up() -> None:
    async with mavera(faults=(Fault("mavera", "hold", route="create", at=1),)) as client:
        url = client.box.mavera_url + "/personas"
        asking = asyncio.ensure_future(client.session.post(url, json=BODY, headers=KEY))
        await client.box.journal.wait_arrived("mavera.create")
        asking.cancel()
        await asyncio.wait({asking})
        assert client.box.personas == []
        client.box.clear_faults()
        await client.box.journal.wait_answered("mavera.create")
        assert await client.names() == [BODY["name"]]


async def test_latency_comes_before_the_effect() -> None:
    async with mavera(mavera_latency_s=0.001) as client:
        assert (await client.ask("POST", body=BODY))[0] == 201


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
    async with mavera(faults=(Fault("mavera", "ignore_field", field=field),)) as client:
        status, _, answer = await client.ask("POST", body=BODY)
        assert (status, answer["details"]) == (201, kept)
        assert client.box.posts == [BODY]


async def test_a_dropped_field_of_an_update_keeps_its_old_value() -> None:
    async with mavera(faults=(Fault("mavera", "ignore_field", route="update", field="description"),)) as client:
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
    async with mavera(mavera_limit=100, faults=(fault,)) as client:
        answered, headers, body = await client.ask("POST", body=BODY)
        assert (answered, body["error"]["type"]) == (status, kind)
        assert code is None or body["error"]["code"] == code
        assert headers["Retry-After"] == "7"
        assert headers["X-RateLimit-Limit"] == "100"
        assert client.box.personas == []


async def test_an_error_can_be_html() -> None:
    async with (
        mavera(faults=(Fault("mavera", "status", status=503, body="html"),)) as client,
        client.session.get(client.box.mavera_url + "/personas", headers=KEY) as response,
    ):
        assert (response.status, response.content_type) == (503, "text/html")


async def test_an_answer_cut_in_two_leaves_the_persona() -> None:
    async with mavera(faults=(Fault("mavera", "truncate", route="create"),)) as client:
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.ask("POST", body=BODY)
        assert len(client.box.personas) == 1


async def test_a_dropped_request_changes_nothing() -> None:
    async with mavera(faults=(Fault("mavera", "drop", method="POST"),)) as client:
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.ask("POST", body=BODY)
        assert await client.names() == []
