"""What a running sandbox holds: its options, faults, journal and personas, shared by both APIs and the admin
routes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from aiohttp import web

from producer.sandbox.fault_answers import before
from producer.sandbox.faults import Asked, Fault, FaultBook
from producer.sandbox.journal import Journal
from producer.sandbox.mavera.personas import Personas
from producer.sandbox.options import SandboxOptions
from producer.sandbox.rate_limit import SlidingWindow, Verdict


class State:
    """The one mutable thing. `host` and `port` are known once the sandbox listens."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.credits = options.credits
        self.credits_used = 0
        self.faults = FaultBook(options.faults)
        self.journal = Journal()
        self.personas = Personas(options.stock_personas)
        self.host = ""
        self.port = 0
        self._cleared = asyncio.Event()
        self._windows: dict[str, SlidingWindow] = {}
        self._numbers = count(1)
        self._prefix = uuid4().hex[:8]
        self._chance = random.Random(0)
        self._tasks: set[asyncio.Task[None]] = set()

    def request_id(self) -> str:
        """A new value for the `Request-Id` header."""
        return f"req_{self._prefix}_{next(self._numbers):x}"

    async def travel(self) -> None:
        """The way of a request to Segment."""
        if self.options.jitter_s:
            await asyncio.sleep(self._chance.uniform(0, self.options.jitter_s))

    def change(self, changes: Mapping[str, Any]) -> None:
        """Changes options while serving; ValueError as `SandboxOptions.changed`."""
        self.options = self.options.changed(changes)
        if "credits" in changes:
            self.credits = self.options.credits
        if "segment_limit" in changes or "mavera_limit" in changes:
            self._windows.clear()

    def charge(self, credits: int) -> str | None:
        """Takes the credits of a creation from the account; returns the code of the refusal if it may not."""
        if self.options.usage_limit is not None and self.credits_used + credits > self.options.usage_limit:
            return "budget_exceeded"
        if self.credits is not None:
            if self.credits < credits and self.options.auto_recharge:
                self.credits += self.options.auto_recharge
            if self.credits < credits:
                return "credits_exhausted"
            self.credits -= credits
        self.credits_used += credits
        return None

    def clear_faults(self) -> None:
        """End all faults, and release the requests that hang in one."""
        self.faults.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def hit(self, scope: str, limit: int | None, window_s: float, now: float) -> Verdict | None:
        """Counts a request against the limit of its scope; None if there is no limit."""
        if limit is None:
            return None
        window = self._windows.get(scope)
        if window is None:
            window = self._windows[scope] = SlidingWindow(limit, window_s)
        return window.hit(now)

    def meet(self, asked: Asked) -> Fault | None:
        """The fault that befalls a request, if any."""
        return self.faults.meet(asked) if self.faults else None

    async def before(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
        """As `wire.before`."""
        return await before(fault, request, self._cleared, self.host, self.port)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Does `work` although its request is over; it is dropped when the sandbox stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Lets go of everything that waits."""
        self.clear_faults()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
