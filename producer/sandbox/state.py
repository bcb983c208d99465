"""The state of a running sandbox, which both APIs share: its options, faults, journal and personas."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Mapping
from itertools import count
from typing import Any
from uuid import uuid4

from aiohttp import web

from producer.sandbox.fault_answers import answer_fault
from producer.sandbox.faults import Fault, FaultRegistry, RequestFacts
from producer.sandbox.journal import Journal
from producer.sandbox.options import SandboxOptions
from producer.sandbox.personas import Personas
from producer.sandbox.rate_limit import RateLimitDecision, SlidingWindow


class SandboxState:
    """All mutable state of a sandbox. `host` and `port` are set once the sandbox listens.

    Args:
        options: The options at the start.
    """

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.credits = options.credits
        self.credits_used = 0
        self.faults = FaultRegistry(options.faults)
        self.journal = Journal()
        self.personas = Personas(options.stock_personas)
        self.host = ""
        self.port = 0
        self._cleared = asyncio.Event()
        self._windows: dict[str, SlidingWindow] = {}
        self._numbers = count(1)
        self._prefix = uuid4().hex[:8]
        self._random = random.Random(0)
        self._tasks: set[asyncio.Task[None]] = set()

    def request_id(self) -> str:
        """Returns a new value for the `Request-Id` header."""
        return f"req_{self._prefix}_{next(self._numbers):x}"

    async def delay_arrival(self) -> None:
        """Waits for the random time that a request to Segment takes to arrive (`jitter_s`)."""
        if self.options.jitter_s:
            await asyncio.sleep(self._random.uniform(0, self.options.jitter_s))

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

    def hit(self, scope: str, limit: int | None, window_s: float, now: float) -> RateLimitDecision | None:
        """Counts a request against the limit of its scope; None if there is no limit."""
        if limit is None:
            return None
        window = self._windows.get(scope)
        if window is None:
            window = self._windows[scope] = SlidingWindow(limit, window_s)
        return window.hit(now)

    def choose_fault(self, request: RequestFacts) -> Fault | None:
        """Returns the fault of a request, if any."""
        return self.faults.choose_fault(request) if self.faults else None

    async def answer_fault(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse | None:
        """Returns the answer of a fault, as `fault_answers.answer_fault` does."""
        return await answer_fault(fault, request, self._cleared, self.host, self.port)

    def run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs `work` beyond the end of its request; it is cancelled when the sandbox stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Ends all waiting requests and background work."""
        self.clear_faults()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
