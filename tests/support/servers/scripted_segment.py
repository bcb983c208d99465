"""A Segment whose every answer a test writes: one function for each space, over real HTTP.

The sandbox answers as the documented APIs do; this one has the shapes of answers that people report.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from producer.sandbox.spaces.space import SpaceSpec, profile


@dataclass(frozen=True)
class Call:
    """A request. cursor: empty for the first page; url: the base URL of this server; nth: how many came before it."""

    path: str
    cursor: str
    limit: int
    url: str
    authorization: str
    nth: int = 0

    @property
    def start(self) -> int:
        """Where its page begins, if cursors are numbers of profiles, maybe with letters before them."""
        digits = "".join(filter(str.isdigit, self.cursor))
        return int(digits or 0)


@dataclass(frozen=True)
class Refusal:
    """An answer that is not a 200 with a JSON body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Call], Any]
"""The JSON of the answer to a call, or a Refusal."""


@dataclass
class ScriptedSegment:
    """While `scripted`. calls: by space, in their order. delay_s: seconds from each call to its answer."""

    url: str
    spaces: dict[str, Answer]
    calls: dict[str, list[Call]] = field(default_factory=dict)
    delay_s: float = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        space = request.path.split("/")[2]
        cursor = request.query.get("cursor") or request.query.get("next") or ""
        before = self.calls.setdefault(space, [])
        authorization = request.headers.get("Authorization", "")
        limit = int(request.query.get("limit", "10"))
        call = Call(request.path, cursor, limit, self.url, authorization, len(before))
        before.append(call)
        found = self.spaces[space](call)
        await asyncio.sleep(self.delay_s)
        if isinstance(found, Refusal):
            return web.Response(status=found.status, body=found.body, headers=found.headers)
        return web.Response(body=orjson.dumps(found), content_type="application/json")


@contextlib.asynccontextmanager
async def scripted(spaces: Mapping[str, Answer]) -> AsyncIterator[ScriptedSegment]:
    """Serves these spaces."""
    segment = ScriptedSegment("", dict(spaces))
    runner = web.ServerRunner(web.Server(segment.handle))  # type: ignore[arg-type]
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    segment.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield segment
    finally:
        await runner.cleanup()


def people(start: int, stop: int) -> list[object]:
    """Profiles of three clusters, with identifiers and traits."""
    spec = SpaceSpec(max(stop, 1), "recipe")
    return [{"id": f"use_{i}", "traits": profile(spec, i)["traits"]} for i in range(start, stop)]


def rows(start: int, stop: int) -> list[object]:
    """Rows of the list of profile-api."""
    return [{"segment_id": f"use_{i}"} for i in range(start, stop)]
