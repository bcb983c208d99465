"""A Mavera client with a sandbox or a server of canned answers, and what becomes of one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions
from tests.support.servers.web_server import Answer, answer, serving
from worker.clusters.analysis.change_detection import PersonaFigures
from worker.errors import PersonasError
from worker.http.client import HttpClient, HttpLimits, new_session
from worker.mavera import MaveraClient, Persona, PersonaPayload, Reference

NOW = 1_700_000_000.0
KEY = "mvra_test_sandbox"
FAMILY = "0123456789"
REFERENCE = Reference(FAMILY, "01234567")


def persona_payload(name: str = "Segment CDP: High Value", reference: Reference = REFERENCE) -> PersonaPayload:
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


def permit() -> bool:
    return True


@asynccontextmanager
async def mavera_client(url: str, *, key: str = KEY, total_s: float = 30) -> AsyncIterator[MaveraClient]:
    async with new_session() as session:
        http = HttpClient(session, url, {"Authorization": f"Bearer {key}"}, HttpLimits(total_s, total_s, 1 << 20))
        yield MaveraClient(http, wall_clock=lambda: NOW)


@asynccontextmanager
async def mavera_sandbox(*faults: Fault, next_cursor: bool = True, stock: int = 0) -> AsyncIterator[Sandbox]:
    options = SandboxOptions({}, faults=faults, mavera_next_cursor=next_cursor, stock_personas=stock)
    async with Sandbox(options) as box:
        yield box


async def create_with_answer(raw: Answer) -> tuple[Persona | PersonasError, int]:
    """What becomes of a POST that is answered so, and how often it was sent."""
    async with serving(raw) as web, mavera_client(web.url) as mavera:
        try:
            outcome: Persona | PersonasError = await mavera.create(persona_payload(), permit)
        except PersonasError as error:
            outcome = error
    return outcome, len(web.requests)


async def error_of(status: int, method: str, body: bytes = b"", headers: dict[str, str] | None = None) -> PersonasError:
    """What this answer becomes, to a list, a POST or a PATCH."""
    async with serving(answer(status, body, headers)) as web, mavera_client(web.url) as mavera:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "GET": lambda: mavera.list_page(FAMILY, None),
            "POST": lambda: mavera.create(persona_payload(), permit),
            "PATCH": lambda: mavera.update("per_1", persona_payload()),
        }
        with pytest.raises(PersonasError) as caught:
            await calls[method]()
    return caught.value
