"""Runs without Redis under random faults: real `segment-personas sync` processes, interrupted and beside each other.

They share a state directory, whose server and keeper are killed too. A round is bounded as one with workers is: trouble
for a few seconds, then quiet, in which a run of every space must come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from producer.state import keeper
from producer.state.directory import StateDirectory
from tests.chaos.faults.api_faults import TIMES, mavera_fault, refused_updates, segment_fault, shown
from tests.chaos.report import Report
from tests.chaos.rounds import CREDITS
from tests.chaos.spaces.round_spaces import PAGE_SIZE
from tests.support.processes.command_line import Command, Done
from tests.support.processes.workers import environment
from tests.support.scenarios.checks import assert_no_twins
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters
from tests.support.servers.slow_tls_proxy import slow_front

SPACES = 2
RUNS_AT_ONCE = 3
MOST_RUNS = 8
"""How often a run of a space may have to be repeated in quiet times."""
_TRY_LATER = 4
_CLUSTERS = 4
_SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


class RunsRound:
    """One round in `folder`. trouble_s: how long faults continue."""

    def __init__(self, seed: int, folder: Path, *, trouble_s: float = 10.0) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._trouble_s = trouble_s
        self._specs = {
            f"spa_{i}": SpaceSpec(self._random.randint(200, 600), "mixed", seed=seed * 100 + i) for i in range(SPACES)
        }
        self._runs: list[tuple[Command, asyncio.Task[Done]]] = []
        self._reported: dict[str, int] = {}
        self._bag: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self.report = Report(seed)

    async def run(self) -> Report:
        """Runs the round. Raises AssertionError if anything is not as it must be."""
        options = SandboxOptions(
            spaces=self._specs,
            page_size=PAGE_SIZE,
            latency_s=self._random.uniform(0.01, 0.1),
            mavera_latency_s=0.05,
            mavera_odd_rows=True,
            credits=CREDITS,
        )
        async with Sandbox(options) as sandbox, slow_front(sandbox.port, self._folder) as front:
            self._sandbox, self._front = sandbox, front
            try:
                await self._trouble()
                await self._quiet()
            finally:
                for command, ended in self._runs:
                    if not ended.done():
                        command.interrupt(signal.SIGKILL)
                        await ended
        return self.report

    async def _trouble(self) -> None:
        ends_at = time.monotonic() + self._trouble_s
        while time.monotonic() < ends_at:
            await asyncio.sleep(self._random.uniform(0.05, 0.6))
            if not self._bag:
                self._bag = [(name, fault) for many, name, fault in self._kinds() for _ in range(many)]
                self._random.shuffle(self._bag)
            name, fault = self._bag.pop()
            self.report.faults[name] += 1
            await fault()

    async def _quiet(self) -> None:
        self._sandbox.clear_faults()
        self._sandbox.set_options(mavera_reads=True)
        self._front.delay_s = 0
        quiet_since = time.monotonic()
        for done in await asyncio.gather(*(ended for _, ended in self._runs)):
            self._note(done)
        for space, spec in self._specs.items():
            self._check(await self._finished(space), expected_clusters(profiles(spec)))
        self.report.recovered_s = time.monotonic() - quiet_since
        assert_no_twins(self._sandbox)
        assert len(self._sandbox.personas) == SPACES * _CLUSTERS
        spent = CREDITS - (self._sandbox.credits or 0)
        assert spent == 300 * len(self._sandbox.personas)
        assert sum(self._reported.values()) <= spent  # a run that was killed has reported nothing

    async def _finished(self, space: str) -> Done:
        """Repeats the sync of a space until one ends well."""
        for _ in range(MOST_RUNS):
            done = await (await self._start(space)).end()
            self._note(done)
            if done.code == 0:
                return done
            self.report.resumed += 1
            error = json.loads(done.out)["error"]
            assert done.code == _TRY_LATER or error["resumable"], done
        raise AssertionError(f"{space} fails again and again: {done}")

    def _note(self, done: Done) -> None:
        """No process ends with a traceback, and none spends more than its budget."""
        assert "Traceback" not in done.err, done.err
        try:
            found = json.loads(done.out)
        except ValueError:
            return
        charged = found.get("credits_charged") or 0
        assert charged <= 300 * _CLUSTERS, found
        self._reported[found.get("sync_id", "")] = (
            charged  # of runs that overlap, each reports the sync that they share
        )

    @staticmethod
    def _check(done: Done, expected: ExpectedClusters) -> None:
        found = json.loads(done.out)
        assert found["profiles_fetched"] == expected.profiles, found
        assert {one["key"]: one["n"] for one in found["personas"]} == dict(expected.sizes), found
        assert {one["action"] for one in found["personas"]} <= {"created", "updated", "unchanged"}

    async def _start(self, space: str) -> Command:
        timeout_s, settle_s = self._random.choice(TIMES)
        env = environment(
            None,
            self._sandbox,
            SEGMENT_PERSONAS_HOME=str(self._folder / "state"),
            RETRY_BUDGET_S="30",
            MAVERA_TIMEOUT_S=timeout_s,
            MAVERA_SETTLE_S=settle_s,
            MAVERA_BASE_URL=f"{self._front.url}/api/v1",
            **self._front.environment,
        )
        return await Command.start("sync", space, "--json", "--max-credits", str(300 * _CLUSTERS), env=env, real=True)

    # Trouble

    def _kinds(self) -> list[tuple[int, str, Callable[[], Awaitable[None]]]]:
        return [
            (6, "run", self._one_more),
            (4, "interrupted run", self._interrupt),
            (2, "Segment fault", self._segment_fault),
            (4, "Mavera fault", self._mavera_fault),
            (1, "refused updates", self._refused_updates),
            (1, "short descriptions", self._short_descriptions),
            (1, "slow connects", self._slow_connects),
            (2, "server killed", self._kill_server),
            (1, "keeper killed", self._kill_keeper),
            (1, "all killed", self._kill_all),
        ]

    async def _one_more(self) -> None:
        if len(self._living()) < RUNS_AT_ONCE:
            command = await self._start(self._random.choice(list(self._specs)))
            self._runs.append((command, asyncio.create_task(command.end())))

    async def _interrupt(self) -> None:
        if living := self._living():
            await asyncio.sleep(self._random.uniform(0, 1.5))
            command, ended = self._random.choice(living)
            if not ended.done():
                command.interrupt(self._random.choice(_SIGNALS))

    async def _kill_server(self) -> None:
        if server := self._server_process():
            _kill(server)

    async def _kill_keeper(self) -> None:
        if server := self._server_process():
            _kill_keeper_of(server)

    async def _kill_all(self) -> None:
        """What a reboot leaves: files, and locks that no process holds."""
        processes = [command.pid for command, _ in self._living()]
        if server := self._server_process():
            _kill_keeper_of(server)
            processes.append(server)
        for process in processes:
            _kill(process)

    def _server_process(self) -> int:
        """The process id of the living server; 0 if there is none."""
        lock = StateDirectory(self._folder / "state").lock("server")
        held = keeper.acquire(str(lock)) if lock.exists() else -1
        if held is None:
            return int(lock.read_text() or 0)
        if held >= 0:
            os.close(held)
        return 0

    def _living(self) -> list[tuple[Command, asyncio.Task[Done]]]:
        return [run for run in self._runs if not run[1].done()]

    async def _segment_fault(self) -> None:
        self._sandbox.add_fault(segment_fault(self._random))

    async def _mavera_fault(self) -> None:
        self._sandbox.add_fault(mavera_fault(self._random))

    async def _refused_updates(self) -> None:
        self._sandbox.add_fault(refused_updates(self._random))

    async def _short_descriptions(self) -> None:
        self._sandbox.set_options(**shown(self._random))

    async def _slow_connects(self) -> None:
        self._front.delay_s = self._random.uniform(0.3, 3)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _kill_keeper_of(server: int) -> None:
    """Kills the process that started a server, if it still lives."""
    with contextlib.suppress(FileNotFoundError):
        parent = int(Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()[1])
        if b"keeper.py" in Path(f"/proc/{parent}/cmdline").read_bytes():
            _kill(parent)
