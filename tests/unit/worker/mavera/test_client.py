"""The Mavera client: a POST is never repeated, and an update counts whatever its answer says."""

from __future__ import annotations

import orjson
import pytest

from producer.sandbox import Fault
from tests.support.mavera_client import (
    FAMILY,
    REFERENCE,
    create_with_answer,
    mavera_client,
    mavera_sandbox,
    permit,
    persona_payload,
)
from tests.support.servers.web_server import answer, serving
from worker.errors import ResumableStop, Retry
from worker.http.errors import NotPermitted
from worker.mavera import Persona, PersonaGone, PostUncertain

# Creating


async def test_a_persona_is_created_with_the_recipes_body() -> None:
    async with mavera_sandbox() as box, mavera_client(box.mavera_url) as mavera:
        persona = await mavera.create(persona_payload(), permit)
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
    async with mavera_sandbox() as box, mavera_client(box.mavera_url) as mavera:
        with pytest.raises(NotPermitted):
            await mavera.create(persona_payload(), lambda: False)
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
    async with (
        mavera_sandbox(fault) as box,
        mavera_client(box.mavera_url, total_s=0.3 if fault.kind == "hang" else 30) as mavera,
    ):
        with pytest.raises(PostUncertain, match=r"^Mavera, persona 'Segment CDP: High Value': "):
            await mavera.create(persona_payload(), permit)
        assert box.journal.arrived["mavera.create"] == 1


@pytest.mark.parametrize("status", [200, 201, 202, 203])
async def test_a_persona_is_one_whatever_the_2xx_that_names_it(status: int) -> None:
    outcome, _ = await create_with_answer(answer(status, b'{"id": "per_1"}'))
    assert isinstance(outcome, Persona)
    assert outcome.id == "per_1"


async def test_the_id_of_a_job_that_makes_the_persona_is_not_that_of_the_persona() -> None:
    outcome, _ = await create_with_answer(answer(202, b'{"id": "job_1", "object": "job", "status": "pending"}'))
    assert isinstance(outcome, PostUncertain)


@pytest.mark.parametrize("kind", ["custom_persona", "Persona", "", None, 5])
async def test_a_persona_is_one_unless_it_says_otherwise(kind: object) -> None:
    outcome, _ = await create_with_answer(answer(201, orjson.dumps({"id": "per_1", "object": kind})))
    assert isinstance(outcome, Persona)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 300, 304])
async def test_a_success_that_names_no_persona_leaves_it_in_doubt(status: int) -> None:
    outcome, sent = await create_with_answer(answer(status))
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
    outcome, _ = await create_with_answer(answer(201, body))
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
    outcome, _ = await create_with_answer(answer(201, f'{{"id": "per_1", {field}}}'.encode()))
    assert isinstance(outcome, Persona)
    assert outcome.id == "per_1"
    assert outcome.credits_charged is None
    assert outcome.reference is None


async def test_a_refused_connection_has_bought_nothing() -> None:
    async with serving(answer()) as web:
        url = web.url
    async with mavera_client(url) as mavera:
        with pytest.raises(Retry, match="cannot connect") as caught:
            await mavera.create(persona_payload(), permit)
    assert caught.value.code == "mavera_unavailable"


# Updating


async def test_a_persona_is_updated() -> None:
    async with mavera_sandbox() as box, mavera_client(box.mavera_url) as mavera:
        created = await mavera.create(persona_payload(), permit)
        updated = await mavera.update(created.id, persona_payload("Segment CDP: Growth"))
        assert updated
        assert (updated.id, updated.name) == (created.id, "Segment CDP: Growth")
        assert box.patches == [
            (created.id, orjson.loads(orjson.dumps(persona_payload("Segment CDP: Growth").as_json())))
        ]


async def test_an_unknown_persona_is_gone_in_the_sandbox_too() -> None:
    async with mavera_sandbox() as box, mavera_client(box.mavera_url) as mavera:
        with pytest.raises(PersonaGone, match="update of persona per_0: 404"):
            await mavera.update("per_0", persona_payload())


@pytest.mark.parametrize("status", [200, 201, 202, 204])
@pytest.mark.parametrize("body", [b"", b"thanks", b"{}"])
async def test_an_update_counts_though_its_answer_says_nothing(status: int, body: bytes) -> None:
    if status == 204:
        body = b""
    async with serving(answer(status, body)) as web, mavera_client(web.url) as mavera:
        assert await mavera.update("per_1", persona_payload()) is None
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
    async with serving(answer(200)) as web, mavera_client(web.url + "/v1") as mavera:
        await mavera.update(persona_id, persona_payload())
    assert web.requests[0].target == path


@pytest.mark.parametrize(
    ("header", "rate"), [("240", 240), ("60", 60), ("", None), ("many", None), ("-1", None), ("9" * 400, None)]
)
async def test_the_tier_is_asked_for_by_a_free_call(header: str, rate: int | None) -> None:
    async with serving(answer(200, b"{}", {"X-RateLimit-Limit": header})) as web, mavera_client(web.url) as mavera:
        assert await mavera.rate_limit() == rate
    assert web.requests[0].target == "/personas?limit=1"


async def test_a_wrong_key_is_found_by_a_free_call() -> None:
    async with mavera_sandbox() as box, mavera_client(box.mavera_url, key="wrong") as mavera:
        with pytest.raises(ResumableStop) as caught:
            await mavera.list_page(FAMILY, None)
    assert "MAVERA_API_KEY" in caught.value.hint
