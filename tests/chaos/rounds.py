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
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from producer import SyncClient, SyncNotFound, SyncRequest, SyncState
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.chaos.api_faults import TIMES, mavera_fault, poisons, refused_updates, segment_fault, shown
from tests.chaos.points import HOW, POINTS
from tests.support.clocks.movable_clock import MovableClock
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters
from tests.support.scenarios.scenario import know_run
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.slow_tls_proxy import slow_front
from tests.support.servers.web_server import answer, serving
from tests.support.servers.webhook_receiver import SECRET, verified_events
from worker.errors import StoreUnavailable
from worker.models.schedule import Schedule
from worker.settings import load_settings
from worker.store import keys, redis_pool
from worker.store.connection.pool import closing

QUIET_S = 60.0
"""How long the syncs of a round may take to end once the trouble is over."""

CREDITS = 100_000
_FOUR_PERSONAS = 4 * 300
_BY_PROFILE = "spa_p"
"""The space that is read by profile-api, with profiles that cannot be read."""
_SECOND_NIGHT = "spa_1"
"""The space that has its personas before the trouble begins, from a smaller space."""
_SCHEDULED = "spa_s"
"""The space whose sync a schedule starts: at the turn of the year, which comes again and again."""
_FIRST_NIGHT = SpaceSpec(400, "mixed", seed=3)
_NOON_S = 7200
"""Where the clock of Redis' host is before it steps, in seconds ahead of the true time."""


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
        self._specs[_BY_PROFILE] = SpaceSpec(self._random.randint(150, 600), "mixed", seed=seed * 100 + 98)
        self._specs[_SCHEDULED] = SpaceSpec(self._random.randint(500, 1500), "mixed", seed=seed * 100 + 97)
        self._poisons = poisons(self._random, _BY_PROFILE, self._specs[_BY_PROFILE])
        self._clock = MovableClock(folder / "clock") if seed % 2 else None
        self._cuts = 0
        self._receiver_fails = True
        self._bag: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self._aof_sizes: list[tuple[float, int]] = []
        self.report = Report(seed)

    async def run(self) -> Report:
        """Runs the round. Raises AssertionError if anything is not as it must be."""
        if self._clock:
            self._clock.set(_NOON_S)
            self._redis = RedisServer(self._folder, kind="valkey", env=self._clock.environment)
        else:
            self._redis = RedisServer(self._folder)
        self._redis.start()
        options = SandboxOptions(
            spaces={**self._specs, _SECOND_NIGHT: _FIRST_NIGHT},
            latency_s=self._random.uniform(0.01, 0.05),
            mavera_latency_s=0.05,
            mavera_odd_rows=True,
            credits=CREDITS,
            faults=tuple(self._poisons.values()),
        )
        try:
            async with (
                Sandbox(options) as sandbox,
                slow_front(sandbox.port, self._folder) as front,
                serving(self._receive) as receiver,
            ):
                self._sandbox, self._front, self._receiver = sandbox, front, receiver
                await self._syncs_under_trouble()
        finally:
            for worker in self._workers:
                worker.close(max_wait_s=0)
            self._redis.kill()
        return self.report

    async def _syncs_under_trouble(self) -> None:
        for _ in range(self._number_of_workers):
            await self._start_worker()
        async with SyncClient(
            self._redis.url, settings=load_settings(stall_s=2, heartbeat_s=0.5), max_wait_s=30
        ) as client:
            pool = redis_pool(self._redis.url, max_wait_s=5)
            await know_run(pool)
            await pool.aclose()
            first = await client.enqueue(SyncRequest(space_id=_SECOND_NIGHT))
            first = await client.wait(first.id, timeout_s=QUIET_S)
            assert first.state is SyncState.COMPLETED, first.error
            self._sandbox.set_options(spaces=self._specs)
            requests = {space: self._request(space) for space in self._specs if space != _SCHEDULED}
            ids = {space: (await client.enqueue(request)).id for space, request in requests.items()}
            ends_at = time.monotonic() + self._trouble_s
            while time.monotonic() < ends_at:
                self._note_aof_size()
                await asyncio.sleep(self._random.uniform(0.05, 0.6))
                await self._one_fault()
            await self._calm()
            quiet_since = time.monotonic()
            ids[_SCHEDULED] = await self._handled_tick(client)
            for space in self._specs:
                await self._see_to_its_end(client, ids, space)
            self.report.recovered_s = time.monotonic() - quiet_since
            await self._check(client, ids, first.credits)
            await self._check_tick_and_events(client, ids)

    def _request(self, space: str) -> SyncRequest:
        """Every other space is read by fan-out. None may spend more than its personas cost; a second night nothing."""
        if space == _BY_PROFILE:
            return SyncRequest(space_id=space, dialect="profile-api", max_credits=_FOUR_PERSONAS)
        if space == _SCHEDULED:
            return SyncRequest(space_id=space, max_credits=_FOUR_PERSONAS)
        budget = 0 if space == _SECOND_NIGHT else _FOUR_PERSONAS
        return SyncRequest(
            space_id=space, strategy="fan-out" if int(space[-1]) % 2 == 0 else "chain", max_credits=budget
        )

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
                sync = await client.get(ids[space])
                raise AssertionError(
                    f"{sync.id} of {space} does not end: {sync.state}, {sync.pages} pages, epoch {sync.epoch}, "
                    f"{sync.revivals} revivals, {sync.note!r}, {sync.outcomes}"
                ) from None
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

    async def _check(self, client: SyncClient, ids: dict[str, str], reported: int) -> None:
        """reported: credits of syncs that had ended before."""
        for space in self._specs:
            expected = self._truth(space)
            sync = await client.get(ids[space])
            assert_exact(sync, expected)
            assert sync.profiles_unreadable == (len(self._poisons) if space == _BY_PROFILE else 0)
            assert_one_persona_each(self._sandbox, sync, expected)
            assert sync.credits <= (sync.request.max_credits or 0), sync
            reported += sync.credits
        assert_no_twins(self._sandbox)
        spent = CREDITS - (self._sandbox.credits or 0)
        assert spent == 300 * len(self._sandbox.personas)
        # A power cut may take the record of a purchase; the persona is then found again, and costs nothing.
        assert reported <= spent if self._cuts else reported == spent, (reported, spent)
        pool = redis_pool(self._redis.url, max_wait_s=5)

        async def clean() -> bool:
            await self._end_pauses()
            return await leftovers(pool) == []

        try:
            # What a woken worker still finishes of its old job is gone a moment later.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await until(clean)
            assert await leftovers(pool) == []
        finally:
            await pool.aclose()

    def _truth(self, space: str) -> ExpectedClusters:
        """What a space truly is. A poisoned profile is left out; and nobody can tell by profile-api whether traits are
        missing or no object."""
        people = enumerate(profiles(self._specs[space]))
        if space != _BY_PROFILE:
            return expected_clusters(entry for _, entry in people)
        found = expected_clusters(entry for number, entry in people if number not in self._poisons)
        found.trait_errors["traits"] = 0
        return found

    # Schedule and webhooks

    def _receive(self) -> AsyncIterator[bytes]:
        """The receiver of webhooks fails every third time, as long as there is trouble."""
        return self._answer(500 if self._receiver_fails and len(self._receiver.requests) % 3 == 0 else 200)

    @staticmethod
    async def _answer(status: int) -> AsyncIterator[bytes]:
        yield answer(status)

    async def _let_tick_come(self) -> None:
        await self._tick()

    async def _tick(self, max_wait_s: float = 1.0) -> str:
        """The tick of the schedule comes, once more, unless Redis is away. Returns the id of the schedule."""
        settings = load_settings(stall_s=2, heartbeat_s=0.5)
        schedule = Schedule(request=self._request(_SCHEDULED), cron="0 0 1 1 *")
        with contextlib.suppress(StoreUnavailable):
            async with closing(redis_pool(self._redis.url, max_wait_s=max_wait_s)) as pool:
                await SyncClient.from_pool(pool, settings).schedules.put(schedule)
                await pool.hset(keys.schedule(schedule.id), "next", "60000")  # type: ignore[misc]
                await pool.zadd(keys.TICKS, {schedule.id: 60_000})
        return schedule.id

    async def _handled_tick(self, client: SyncClient) -> str:
        """The sync of the tick."""
        schedule_id = await self._tick(QUIET_S)

        async def handled() -> bool:
            found = await client.schedules.get(schedule_id)
            return bool(found.last_sync_id) and found.next_tick != 60

        await until(handled)
        return (await client.schedules.get(schedule_id)).last_sync_id

    async def _end_pauses(self) -> None:
        """Lets the next attempt at each event come now."""
        async with closing(redis_pool(self._redis.url, max_wait_s=5)) as pool:
            for outbox in await pool.keys(f"{keys.outbox('')}*"):
                for event in await pool.zrange(outbox, 0, -1):
                    await pool.zadd(outbox, {event: 1}, xx=True)

    async def _check_tick_and_events(self, client: SyncClient, ids: dict[str, str]) -> None:
        """The tick has one sync, however often it came; each end has arrived, and no id stands for two events."""
        scheduled = [sync.id for sync in await client.list() if sync.space_id == _SCHEDULED]
        assert scheduled == [ids[_SCHEDULED]]
        bodies: dict[str, set[bytes]] = {}
        for request in self._receiver.requests:
            bodies.setdefault(request.headers["webhook-id"], set()).add(request.body)
        assert {len(found) for found in bodies.values()} == {1}
        by_id = {
            request.headers["webhook-id"]: event
            for request, event in zip(self._receiver.requests, verified_events(self._receiver), strict=True)
        }
        completed = Counter(event["data"]["sync_id"] for event in by_id.values() if event["type"] == "sync.completed")
        for sync_id in ids.values():
            # A power cut may take a sync back to before its end.
            assert completed[sync_id] >= 1 if self._cuts else completed[sync_id] == 1, (sync_id, completed)

    # Trouble

    async def _one_fault(self) -> None:
        """Draws from a bag of all kinds, which is filled anew when it is empty: a round sees most of them."""
        if not self._bag:
            self._bag = [(name, fault) for many, name, fault in self._kinds() for _ in range(many)]
            self._random.shuffle(self._bag)
        name, fault = self._bag.pop()
        self.report.faults[name] += 1
        await fault()

    def _kinds(self) -> list[tuple[int, str, Callable[[], Awaitable[None]]]]:
        return [
            (3, "killed worker", self._kill_worker),
            (2, "frozen worker", self._freeze_worker),
            (2, "stopped worker", self._stop_worker),
            (3, "worker that is killed", self._killed_worker),
            (1, "restarted Redis", self._restart_redis),
            (1, "killed Redis", self._kill_redis),
            (1, "power cut", self._power_cut),
            (1, "frozen Redis", self._freeze_redis),
            (3, "Segment fault", self._segment_fault),
            (3, "Mavera fault", self._mavera_fault),
            (2, "refused updates", self._refused_updates),
            (2, "short descriptions", self._short_descriptions),
            (2, "slow connects", self._slow_connects),
            (2 if self._clock else 0, "clock step", self._clock_step),
            (2, "tick", self._let_tick_come),
        ]

    async def _start_worker(self, plan: str = "") -> None:
        log = self._folder / f"worker-{self._started}.log"
        self._started += 1
        timeout_s, settle_s = self._random.choice(TIMES)
        env = environment(
            self._redis.url,
            self._sandbox,
            COMMIT_INTERVAL_S="0.05",
            RETRY_BUDGET_S="60",
            MAVERA_TIMEOUT_S=timeout_s,
            MAVERA_SETTLE_S=settle_s,
            MAVERA_BASE_URL=f"{self._front.url}/api/v1",
            WEBHOOK_URL=f"{self._receiver.url}/events",
            WEBHOOK_SECRET=SECRET,
            **self._front.environment,
        )
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

    async def _killed_worker(self) -> None:
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
        self._cuts += 1
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
        self._sandbox.add_fault(segment_fault(self._random))

    async def _mavera_fault(self) -> None:
        self._sandbox.add_fault(mavera_fault(self._random))

    async def _refused_updates(self) -> None:
        self._sandbox.add_fault(refused_updates(self._random))

    async def _short_descriptions(self) -> None:
        self._sandbox.set_options(**shown(self._random))

    async def _slow_connects(self) -> None:
        """Each connection to Mavera takes longer than some of the workers wait for it, then than a claim lasts."""
        self._front.delay_s = self._random.uniform(0.3, 3)

    async def _clock_step(self) -> None:
        if self._clock:
            self._clock.set(_NOON_S + self._random.choice([-3600, -120, -30, 30, 120, 3600]))

    async def _calm(self) -> None:
        """No further faults: the APIs are well, Redis answers, frozen workers wake, and two healthy ones are there.

        What a space or an account is like stays as it is: poisoned profiles, odd rows, descriptions that are cut.
        """
        self._sandbox.clear_faults()
        for fault in self._poisons.values():
            self._sandbox.add_fault(fault)
        self._sandbox.set_options(mavera_reads=True)
        self._front.delay_s = 0
        self._receiver_fails = False
        for worker in self._workers:
            if worker.alive:
                worker.go_on()
        for _ in range(2):
            await self._start_worker()
