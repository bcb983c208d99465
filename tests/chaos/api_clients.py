"""Clients of the HTTP API under faults: `segment-personas serve` is killed, and each request is repeated by its key.

A client does what the documentation tells it to: it repeats a request with the same `Idempotency-Key` until it has an
answer, and comes back to an event stream with `Last-Event-ID`. Some give up on an answer early, so that it is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import aiohttp

from producer import SyncRequest
from tests.support.http_api.event_reader import ServerEvent, events_of
from tests.support.processes.command_line import Command
from tests.support.servers.port import port_of_ones_own

PLANS = ("", "", "before_create:1:kill", "after_create:1:kill", "after_create:2:kill")
"""How a server ends by itself, see `tests.chaos.points`: before it asks Redis for a sync, or before it answers."""

_REPEAT_LATER = frozenset({408, 429, 503, 504})
_LOST = (aiohttp.ClientError, TimeoutError, ConnectionError)


@dataclass
class KeyedRequest:
    """A request with an idempotency key.

    Attributes:
        request: What is asked for.
        force: As in the body.
        answers: The ids of the syncs that it was answered with.
    """

    request: SyncRequest
    force: bool = False
    answers: list[str] = field(default_factory=list)

    @property
    def body(self) -> Mapping[str, object]:
        """The JSON of the request."""
        stored = self.request.model_dump(mode="json", exclude_unset=True)
        return {**{name: value for name, value in stored.items() if name != "version"}, "force": self.force}


class ApiClients:
    """A server that is started again whenever it ends, and its clients. Use `started`.

    Args:
        chance: Decides what is random.
        env: Of the server.

    Attributes:
        requests: The requests by idempotency key.
        events: By sync, the events of its stream, over all connections.
        connections: How many connections to event streams were made.
    """

    def __init__(self, chance: random.Random, env: Mapping[str, str]) -> None:
        self._random = chance
        self._env = env
        self._port = port_of_ones_own()
        self._command: Command | None = None
        self._asking: list[asyncio.Task[None]] = []
        self._following: list[asyncio.Task[None]] = []
        self._is_calm = self._is_over = False
        self.requests: dict[str, KeyedRequest] = {}
        self.events: dict[str, list[ServerEvent]] = {}
        self.connections = 0

    @contextlib.asynccontextmanager
    async def started(self) -> AsyncIterator[ApiClients]:
        """Serves while the block runs."""
        url = f"http://127.0.0.1:{self._port}"
        serving = asyncio.create_task(self._keep_serving())
        try:
            async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(force_close=True)) as self._http:
                try:
                    yield self
                finally:
                    await _end(*self._asking, *self._following)
        finally:
            self._is_over = True
            while not serving.done():
                self.kill()
                await asyncio.wait({serving}, timeout=0.1)
            await serving

    async def _keep_serving(self) -> None:
        while not self._is_over:
            plan = "" if self._is_calm else self._random.choice(PLANS)
            arguments = ("serve", "--port", str(self._port))
            self._command = await Command.start(*arguments, env=self._env, kill_at=plan)
            done = await self._command.end()
            assert done.code == -signal.SIGKILL, done.err
            assert "Traceback" not in done.err, done.err

    def kill(self) -> None:
        """`kill -9` of the server."""
        if self._command:
            self._command.interrupt(signal.SIGKILL)

    def ask(self, key: str, request: SyncRequest, *, force: bool = False) -> None:
        """Asks for a sync with a key, again and again, until `confirm`."""
        self.requests[key] = KeyedRequest(request, force)
        self._asking.append(asyncio.create_task(self._repeat(key)))

    def follow(self, key: str) -> None:
        """Follows the event stream of the key's sync until it has completed."""
        self._following.append(asyncio.create_task(self._follow(key)))

    async def confirm(self) -> Mapping[str, str]:
        """Asks once more with each key, without losing the answer. Returns the ids of the syncs by key."""
        self._is_calm = True
        await _end(*self._asking)
        for key in self.requests:
            while not await self._post(key, 60):  # noqa: ASYNC110 - nothing announces a server that answers
                await asyncio.sleep(0.1)
        return {key: one.answers[-1] for key, one in self.requests.items()}

    async def followed(self) -> None:
        """Returns once each stream that is followed has shown the end of its sync."""
        await asyncio.gather(*self._following)

    async def _repeat(self, key: str) -> None:
        while True:
            # With a short time-out, the answer is lost; with two at a time, the later one meets the earlier one.
            posts = [self._post(key, self._random.uniform(0.01, 1.5)) for _ in range(self._random.choice((1, 1, 2)))]
            await asyncio.gather(*posts)
            await asyncio.sleep(self._random.uniform(0.1, 1.5))

    async def _post(self, key: str, timeout_s: float) -> bool:
        """Asks with a key; whether an answer came."""
        one = self.requests[key]
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self._http.post(
                "/v1/syncs", json=one.body, headers={"Idempotency-Key": key}, timeout=timeout
            ) as response:
                document = await response.json(content_type=None)
        except _LOST:
            return False
        if response.status in _REPEAT_LATER:
            return False
        assert response.status in {200, 202}, document
        one.answers.append(document["sync_id"])
        return True

    async def _follow(self, key: str) -> None:
        one = self.requests[key]
        while True:
            if one.answers:
                sync_id = one.answers[-1]
                found = self.events.setdefault(sync_id, [])
                with contextlib.suppress(*_LOST):
                    await self._read_stream(sync_id, found)
                if found and found[-1].json["status"] == "completed":
                    return
            await asyncio.sleep(0.1)

    async def _read_stream(self, sync_id: str, found: list[ServerEvent]) -> None:
        self.connections += 1
        headers = {"Last-Event-ID": found[-1].id} if found else {}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._http.get(f"/v1/syncs/{sync_id}/events", headers=headers, timeout=timeout) as response:
            if response.status == 200:
                async for event in events_of(response):
                    if not event.comment:
                        found.append(event)


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancels tasks. Raises the error of one that has failed."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks) if tasks else None
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            task.result()
