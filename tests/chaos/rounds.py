"""The driver: a round of syncs under random faults, then everything that must hold is checked.

A round is decided by its seed, but for what the machine's timing adds: which spaces, which faults at what times, at
which points workers end. Workers and Redis are real processes; the sandbox runs here, over HTTP. A round is bounded
and stops by itself: trouble for a few seconds, then quiet, in which every sync must come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from producer import SyncClient, SyncNotFound, SyncRequest, SyncState
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.chaos.points import HOW, POINTS
from tests.support import truth
from tests.support.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.redis_server import RedisServer
from tests.support.workers import WorkerProcess, environment
from worker.settings import load_settings
from worker.store import redis_pool

QUIET_S = 30.0
"""How long the syncs of a round may take to end once the trouble is over."""


@dataclass
class Report:
    """What a round did, and how its syncs ended. recovered_s: seconds from the end of the trouble to the last end."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    lost: int = 0
    recovered_s: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{n} {name}" for name, n in sorted(self.faults.items()))
        ends = f"resumed {self.resumed}, asked again {self.lost}, {self.recovered_s:.1f} s to recover"
        return f"seed {self.seed}: {faults}; {ends}"


class Round:
    """One round in `folder`. trouble_s: how long faults go on."""

    def __init__(self, seed: int, folder: Path, *, spaces: int = 3, workers: int = 3, trouble_s: float = 6.0) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._trouble_s = trouble_s
        self._number_of_workers = workers
        self._specs = {
            f"spa_{i}": SpaceSpec(self._random.randint(2000, 8000), "mixed", seed=seed * 100 + i) for i in range(spaces)
        }
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._aof_sizes: list[tuple[float, int]] = []
        self.report = Report(seed)

    async def run(self) -> Report:
        """Runs the round. Raises AssertionError if anything is not as it must be."""
        self._redis = RedisServer(self._folder)
        self._redis.start()
        options = SandboxOptions(spaces=self._specs, latency_s=self._random.uniform(0.01, 0.05), mavera_latency_s=0.05)
        try:
            async with Sandbox(options) as sandbox:
                self._sandbox = sandbox
                await self._syncs_under_trouble()
        finally:
            for worker in self._workers:
                worker.close(patience_s=0)
            self._redis.kill()
        return self.report

    async def _syncs_under_trouble(self) -> None:
        for _ in range(self._number_of_workers):
            await self._start_worker()
        async with SyncClient(
            self._redis.url, settings=load_settings(stall_s=2, heartbeat_s=0.5), patience_s=30
        ) as client:
            requests = {space: self._request(space) for space in self._specs}
            ids = {space: (await client.enqueue(request)).id for space, request in requests.items()}
            ends_at = time.monotonic() + self._trouble_s
            while time.monotonic() < ends_at:
                self._note_aof_size()
                await asyncio.sleep(self._random.uniform(0.05, 0.6))
                await self._one_fault()
            await self._calm()
            quiet_since = time.monotonic()
            for space in self._specs:
                await self._see_to_its_end(client, ids, space)
            self.report.recovered_s = time.monotonic() - quiet_since
            await self._check(client, ids)

    def _request(self, space: str) -> SyncRequest:
        """Every other space is read by fan-out."""
        return SyncRequest(space_id=space, strategy="fan-out" if int(space[-1]) % 2 == 0 else "chain")

    async def _see_to_its_end(self, client: SyncClient, ids: dict[str, str], space: str) -> None:
        """A sync that failed for an outside reason is resumed, one that Redis forgot is asked for again."""
        for _ in range(5):
            try:
                sync = await client.wait(ids[space], timeout_s=QUIET_S)
            except TimeoutError:
                for worker in self._workers:
                    if worker.alive:
                        worker.process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(1)
                raise
            except SyncNotFound:
                self.report.lost += 1
                ids[space] = (await client.enqueue(self._request(space))).id
                continue
            if sync.state is not SyncState.FAILED:
                return
            assert sync.error
            assert sync.error.resumable, sync.error
            self.report.resumed += 1
            await client.resume(sync.id)
        raise AssertionError(f"{ids[space]} of {space} fails again and again: {sync.error}")

    async def _check(self, client: SyncClient, ids: dict[str, str]) -> None:
        for space, spec in self._specs.items():
            expected = truth.of(profiles(spec))
            sync = await client.get(ids[space])
            assert_exact(sync, expected)
            assert_one_persona_each(self._sandbox, sync, expected)
        assert_no_twins(self._sandbox)
        pool = redis_pool(self._redis.url, patience_s=5)

        async def clean() -> bool:
            return await leftovers(pool) == []

        try:
            # What a woken worker still finishes of its old job is gone a moment later.
            with contextlib.suppress(TimeoutError):
                await until(clean, timeout_s=5)
            assert await leftovers(pool) == []
        finally:
            await pool.aclose()

    # Trouble

    async def _one_fault(self) -> None:
        faults: list[tuple[int, str, Callable[[], Awaitable[None]]]] = [
            (4, "killed worker", self._kill_worker),
            (3, "frozen worker", self._freeze_worker),
            (3, "stopped worker", self._stop_worker),
            (3, "doomed worker", self._doomed_worker),
            (1, "restarted Redis", self._restart_redis),
            (1, "killed Redis", self._kill_redis),
            (1, "power cut", self._power_cut),
            (1, "frozen Redis", self._freeze_redis),
            (3, "Segment fault", self._segment_fault),
            (3, "Mavera fault", self._mavera_fault),
        ]
        _, name, fault = self._random.choices(faults, weights=[weight for weight, _, _ in faults])[0]
        self.report.faults[name] += 1
        await fault()

    async def _start_worker(self, plan: str = "") -> None:
        log = self._folder / f"worker-{self._started}.log"
        self._started += 1
        env = environment(self._redis.url, self._sandbox, COMMIT_INTERVAL_S="0.05", RETRY_BUDGET_S="60")
        command = [sys.executable, "-m", "tests.chaos.worker_process", plan]
        self._workers.append(WorkerProcess(env, log, command=command))

    def _pick(self) -> WorkerProcess | None:
        living = [worker for worker in self._workers if worker.alive]
        return self._random.choice(living) if living else None

    async def _kill_worker(self) -> None:
        if worker := self._pick():
            await asyncio.to_thread(worker.kill)
        await self._start_worker()

    async def _freeze_worker(self) -> None:
        if worker := self._pick():
            worker.pause()
            await asyncio.sleep(self._random.uniform(0.1, 4))
            if worker.alive:
                worker.go_on()

    async def _stop_worker(self) -> None:
        if worker := self._pick():
            await asyncio.to_thread(worker.terminate)
        await self._start_worker()

    async def _doomed_worker(self) -> None:
        point, how = self._random.choice(POINTS), self._random.choice(list(HOW))
        await self._start_worker(f"{point}:{self._random.randint(1, 4)}:{how}")

    async def _restart_redis(self) -> None:
        await asyncio.to_thread(self._redis.stop)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self._redis.start)

    async def _kill_redis(self) -> None:
        await asyncio.to_thread(self._redis.kill)
        await asyncio.to_thread(self._redis.start)

    async def _power_cut(self) -> None:
        """Redis ends, and up to two seconds of its append-only file with it, cut at a random byte."""
        self._note_aof_size()
        await asyncio.to_thread(self._redis.kill)
        path = self._redis.append_only_file()
        now, size = time.monotonic(), path.stat().st_size
        safe = max((old for at, old in self._aof_sizes if now - at >= 2), default=0)
        if safe < size:
            with path.open("r+b") as file:
                file.truncate(self._random.randint(safe, size))
        self._aof_sizes.clear()
        await asyncio.to_thread(self._redis.start)

    def _note_aof_size(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._aof_sizes.append((time.monotonic(), self._redis.append_only_file().stat().st_size))

    async def _freeze_redis(self) -> None:
        self._redis.pause()
        await asyncio.sleep(self._random.uniform(0.2, 2))
        self._redis.go_on()

    async def _segment_fault(self) -> None:
        kind = self._random.choice(["status", "drop", "truncate", "slow", "html", "invalid_json", "deep", "redirect"])
        self._sandbox.add_fault(
            Fault(
                "segment",
                kind,  # type: ignore[arg-type]
                times=self._random.randint(1, 4),
                status=302 if kind == "redirect" else self._random.choice([429, 500, 502, 503]),
                retry_after=self._random.choice([None, "1", "date:+1", "date:-60"]),
                seconds=0.5,
                body=self._random.choice(["json", "html"]),
            )
        )

    async def _mavera_fault(self) -> None:
        kind = self._random.choice(
            ["status", "drop", "truncate", "slow", "created_lost", "created_error", "created_late"]
        )
        self._sandbox.add_fault(
            Fault(
                "mavera",
                kind,  # type: ignore[arg-type]
                times=self._random.randint(1, 2),
                status=503 if kind == "created_error" else self._random.choice([429, 500, 503]),
                retry_after=self._random.choice([None, "1"]),
                seconds=self._random.uniform(0.2, 2),
            )
        )

    async def _calm(self) -> None:
        """No further faults: the APIs are well, Redis answers, frozen workers wake, and two healthy ones are there."""
        self._sandbox.clear_faults()
        for worker in self._workers:
            if worker.alive:
                worker.go_on()
        for _ in range(2):
            await self._start_worker()
