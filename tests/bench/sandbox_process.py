"""A prebuilt sandbox in a separate process, so that serving pages takes no processor time from the reader.

Run as a module it is that process: it serves what the JSON in its argument says, prints its URL when it listens, and
ends when its standard input does, so it cannot outlive the process that started it.
"""

from __future__ import annotations

import asyncio
import json
import math
import selectors
import subprocess
import sys
import time
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import requests
from aiohttp import web

from producer.sandbox import Entry, SandboxOptions, SpaceSpec
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox

_JOURNAL_PATH = "/_journal"


def encode(options: SandboxOptions) -> str:
    """The options as JSON. Faults do not travel: a benchmark has none."""
    if options.faults:
        raise ValueError("a sandbox process takes no faults")
    return json.dumps({name: value for name, value in asdict(options).items() if name != "faults"})


def decode(text: str) -> SandboxOptions:
    """Reads what `encode` wrote."""
    fields: dict[str, Any] = json.loads(text)
    default = fields.pop("default_space")
    return SandboxOptions(
        spaces={name: SpaceSpec(**spec) for name, spec in fields.pop("spaces").items()},
        default_space=SpaceSpec(**default) if default else None,
        **fields,
    )


class SandboxProcess:
    """A running sandbox as a context. url: `http://host:port`. awake: it never sleeps, and takes a core for that."""

    def __init__(self, options: SandboxOptions, *, awake: bool = False) -> None:
        self._options = options
        self._selector = "awake" if awake else "exact"
        self.url = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.sandbox_process", encode(self._options), self._selector],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the sandbox did not start; it ended with {self._process.wait(10)}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def segment_url(self) -> str:
        return self.url

    @property
    def mavera_url(self) -> str:
        return self.url + "/api/v1"

    def entries(self) -> list[Entry]:
        """The requests that were answered, in the order of their answers; times are of the monotonic clock."""
        reply = requests.get(self.url + _JOURNAL_PATH, timeout=30)
        reply.raise_for_status()
        return [Entry(*fields) for fields in reply.json()]


class _JournaledSandbox(PrebuiltSandbox):
    """A sandbox that another process can ask for its journal."""

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path == _JOURNAL_PATH:
            return web.json_response(list(self.journal.entries))
        return await super()._handle(request)


async def _serve(options: SandboxOptions) -> None:
    async with _JournaledSandbox(options) as box:
        print(box.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


class _ExactSelector(selectors.SelectSelector):
    """Never oversleeps: a wait comes to the microsecond, not to the millisecond as with asyncio's usual selector, and
    its last part is spent looking, so that the processor has not gone to sleep either."""

    AWAKE_S = 0.0003

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            return super().select(None)
        until = time.monotonic() + timeout
        ready = super().select(max(0.0, timeout - self.AWAKE_S))
        while not ready and time.monotonic() < until:
            ready = super().select(0)
        return ready


class _AwakeSelector(selectors.SelectSelector):
    """Never sleeps: the sender of a request does not pay for waking the server, as on a network."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        until = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            ready = super().select(0)
            if ready or time.monotonic() >= until:
                return ready


if __name__ == "__main__":
    selector = {"exact": _ExactSelector, "awake": _AwakeSelector}[sys.argv[2]]
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector())) as runner:
        runner.run(_serve(decode(sys.argv[1])))
