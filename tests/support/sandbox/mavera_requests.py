"""Requests to the sandbox as Mavera."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from producer.sandbox import Sandbox, SandboxOptions

KEY = {"Authorization": "Bearer mvra_test_sandbox"}
BODY = {
    "name": "Segment CDP: High Value",
    "description": "High Value segment. Ref: ab12",
    "demographic": {"industries": ["SaaS"], "plans": ["pro"]},
    "psychographic": {"cluster": "high_value", "avg_ltv": 1200.0},
}


class MaveraRequests:
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
async def mavera_sandbox(**options: Any) -> AsyncIterator[MaveraRequests]:
    async with Sandbox(SandboxOptions({}, **options)) as box, aiohttp.ClientSession() as session:
        yield MaveraRequests(box, session)
