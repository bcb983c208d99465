"""The driver: a round of syncs under random faults, then everything that must hold is checked.

The syncs are asked for over HTTP, by clients that repeat each request by its idempotency key; one is a schedule's.

A round is decided by its seed, but for what the machine's timing adds: which spaces, which faults at what times, at
which points workers end. Workers and Redis are real processes; the sandbox runs here, over HTTP. A round is bounded
and stops by itself: trouble for a few seconds, then quiet, in which every sync must come to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from producer import SyncClient, SyncRequest, SyncState
from producer.sandbox import Sandbox, SandboxOptions
from tests.chaos.api_clients import ApiClients
from tests.chaos.faults.api_faults import TIMES, mavera_fault, refused_updates, segment_fault, shown
from tests.chaos.faults.redis_faults import RedisFaults
from tests.chaos.points import HOW, POINTS
from tests.chaos.report import Report
from tests.chaos.schedule_and_webhooks import ScheduleAndWebhooks
from tests.chaos.spaces.round_spaces import (
    AGAIN,
    BY_PROFILE,
    FIRST_NIGHT,
    PAGE_SIZE,
    SCHEDULED,
    SECOND_NIGHT,
    RoundSpaces,
)
from tests.support.clocks.movable_clock import MovableClock
from tests.support.processes.fork_server import shared_fork_server
from tests.support.processes.workers import WorkerProcess, environment
from tests.support.scenarios.checks import assert_exact, assert_no_twins, assert_one_persona_each, leftovers, until
from tests.support.scenarios.scenario import know_run
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.slow_tls_proxy import slow_front
from tests.support.servers.webhook_receiver import SECRET
from worker.models.sync import Sync
from worker.settings import load_settings
from worker.store import redis_pool
from worker.store.connection.pool import closing

QUIET_S = 60.0
"""How long the syncs of a round may take to end once the trouble is over."""

CREDITS = 100_000
_MOST_KEYS = 4
"""How many keys there may be of that space."""
_NOON_S = 7200
"""Where the clock of Redis' host is before it steps, in seconds ahead of the true time."""


class Round:
    """One round in `folder`. trouble_s: how long faults continue. A round of few spaces has one of files."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        spaces: int = 3,
        workers: int = 3,
        trouble_s: float = 6.0,
        warehouse: bool = False,
    ) -> None:
        self._random = random.Random(seed)
        self._folder = folder
        self._trouble_s = trouble_s
        self._number_of_workers = workers
        self._spaces = RoundSpaces(seed, self._random, spaces, warehouse=warehouse)
        self._clock = MovableClock(folder / "clock") if seed % 2 else None
        self._bag: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._workers: list[WorkerProcess] = []
        self._started = 0
        self.report = Report(seed)

    async def run(self) -> Report:
        """Runs the round. Raises AssertionError if anything is not as it must be."""
        if self._clock:
            self._clock.set(_NOON_S)
            self._redis = RedisServer(self._folder, kind="valkey", env=self._clock.environment)
        else:
            self._redis = RedisServer(self._folder)
        self._redis.start()
        self._spaces.write_files(self._folder / "files")
        self._redis_faults = RedisFaults(self._redis, self._random)
        self._events = ScheduleAndWebhooks(self._redis, self._spaces.request(SCHEDULED))
        options = SandboxOptions(
            spaces={**self._spaces.specs, SECOND_NIGHT: FIRST_NIGHT},
            page_size=PAGE_SIZE,
            latency_s=self._random.uniform(0.01, 0.05),
            mavera_latency_s=0.05,
            mavera_odd_rows=True,
            credits=CREDITS,
            faults=tuple(self._spaces.poisons.values()),
        )
        try:
            with self._spaces.warehouse or contextlib.nullcontext():
                async with (
                    Sandbox(options) as sandbox,
                    slow_front(sandbox.port, self._folder) as front,
                    self._events.receiving(),
                ):
                    self._sandbox, self._front = sandbox, front
                    self._api = ApiClients(random.Random(self.report.seed), self._server_environment())
                    await self._syncs_under_trouble()
        finally:
            for worker in self._workers:
                worker.close(max_wait_s=0)
            self._redis.kill()
        return self.report

    async def _syncs_under_trouble(self) -> None:
        for number in range(self._number_of_workers):
            # One of them ends while it reads files.
            await self._start_worker("" if number else self._end_at("before_aggregate", "after_aggregate"))
        settings = load_settings(stall_s=2, heartbeat_s=0.5)
        async with SyncClient(self._redis.url, settings=settings, max_wait_s=30) as client:
            async with self._api.started():
                first = await self._first_night(client)
                await self._trouble()
                await self._calm()
                quiet_since = time.monotonic()
                known = {key: one.answers[-1] for key, one in self._api.requests.items() if one.answers}
                ids = await self._api.confirm()
                self.report.lost = sum(ids[key] != sync_id for key, sync_id in known.items())
                sync_ids = [*ids.values(), await self._events.handled_tick(client, QUIET_S)]
                for sync_id in sync_ids:
                    await self._see_to_its_end(client, sync_id)
                async with asyncio.timeout(QUIET_S):
                    await self._api.followed()
            self.report.recovered_s = time.monotonic() - quiet_since
            await self._check(client, sync_ids, first.credits)
            await self._check_requests(client, ids)
            self._events.check_events(sync_ids, power_cuts=self._redis_faults.cuts > 0)

    async def _first_night(self, client: SyncClient) -> Sync:
        """The sync of a smaller space, whose personas are there when the trouble begins."""
        async with closing(redis_pool(self._redis.url, max_wait_s=5)) as pool:
            await know_run(pool)
        sync = await client.wait((await client.enqueue(SyncRequest(space_id=SECOND_NIGHT))).id, timeout_s=QUIET_S)
        assert sync.state is SyncState.COMPLETED, sync.error
        self._redis_faults.keep_written()
        self._sandbox.set_options(spaces=self._spaces.specs)
        return sync

    async def _trouble(self) -> None:
        """The syncs are asked for, and faults come."""
        for space in self._spaces.specs:
            if space != SCHEDULED:
                self._api.ask(space, self._spaces.request(space), force=space == AGAIN)
        for space in (SECOND_NIGHT, BY_PROFILE):
            self._api.follow(space)
        if warehouse := self._spaces.warehouse:  # whose statement a worker has begun after a while
            await asyncio.sleep(self._random.uniform(1, 2))
            name = self._random.choice(["restarted", "killed"])
            self._bag = [(f"{name} PostgreSQL", warehouse.kill if name == "killed" else warehouse.restart)]
        ends_at = time.monotonic() + self._trouble_s
        while time.monotonic() < ends_at:
            self._redis_faults.note_aof_size()
            await asyncio.sleep(self._random.uniform(0.05, 0.6))
            await self._one_fault()

    async def _see_to_its_end(self, client: SyncClient, sync_id: str) -> None:
        """A sync that failed for an outside reason is resumed."""
        for _ in range(5):
            try:
                sync = await client.wait(sync_id, timeout_s=QUIET_S)
            except TimeoutError:
                for worker in self._workers:
                    if worker.alive:
                        worker.process.send_signal(signal.SIGUSR1)
                await asyncio.sleep(1)
                sync = await client.get(sync_id)
                raise AssertionError(
                    f"{sync.id} of {sync.space_id} does not end: {sync.state}, {sync.pages} pages, epoch {sync.epoch}, "
                    f"{sync.revivals} revivals, {sync.note!r}, {sync.outcomes}"
                ) from None
            if sync.state is not SyncState.FAILED:
                return
            assert sync.error
            assert sync.error.resumable, sync.error
            self.report.resumed += 1
            await client.resume(sync.id)
        raise AssertionError(f"{sync.id} of {sync.space_id} fails again and again: {sync.error}")

    async def _check(self, client: SyncClient, sync_ids: Sequence[str], reported: int) -> None:
        """reported: credits of syncs that had ended before."""
        for sync_id in sync_ids:
            sync = await client.get(sync_id)
            space = sync.space_id
            expected = self._spaces.truth(space)
            assert_exact(sync, expected)
            assert sync.profiles_unreadable == (len(self._spaces.poisons) if space == BY_PROFILE else 0)
            assert_one_persona_each(self._sandbox, sync, expected)
            assert sync.credits <= (sync.request.max_credits or 0), sync
            reported += sync.credits
        assert_no_twins(self._sandbox)
        spent = CREDITS - (self._sandbox.credits or 0)
        assert spent == 300 * len(self._sandbox.personas)
        # A power cut may take the record of a purchase; the persona is then found again, and costs nothing.
        assert reported <= spent if self._redis_faults.cuts else reported == spent, (reported, spent)
        pool = redis_pool(self._redis.url, max_wait_s=5)

        async def clean() -> bool:
            await self._events.end_pauses()
            return await leftovers(pool) == []

        try:
            # What a woken worker still finishes of its old job is gone a moment later.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(QUIET_S):
                    await until(clean)
            assert await leftovers(pool) == []
        finally:
            await pool.aclose()

    async def _check_requests(self, client: SyncClient, ids: Mapping[str, str]) -> None:
        """Each key, and the tick, has one sync, however often it came; and streams have shown only what is new."""
        found = await client.list()
        by_space = Counter(sync.space_id for sync in found)
        keys_of = Counter(one.request.space_id for one in self._api.requests.values())
        assert by_space == keys_of + Counter([SCHEDULED, SECOND_NIGHT])  # there, one had ended before
        assert len(set(ids.values())) == len(ids)
        for key, one in self._api.requests.items():
            # A sync that was answered and then lost with Redis' last seconds leaves its key to a new one.
            lost = set(one.answers) - {sync.id for sync in found}
            assert not lost or self._redis_faults.cuts or self._redis_faults.kills, (key, one.answers)
            assert set(one.answers) - lost == {ids[key]}, (key, one.answers)
        for events in self._api.events.values():
            versions = [event.id for event in events]
            pages = [event.json["pages_fetched"] for event in events]
            # After a wait, a sync has the same document as before the wait.
            is_new = all(one != other for one, other in pairwise(versions))
            assert self._redis_faults.cuts or (is_new and pages == sorted(pages)), events
        self.report.repetitions = sum(len(one.answers) for one in self._api.requests.values())
        self.report.connections = self._api.connections

    # Trouble

    async def _one_fault(self) -> None:
        """Draws from a bag of all kinds, which is filled again when it is empty: a round sees most of them."""
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
            (1, "restarted Redis", self._redis_faults.restart),
            (1, "killed Redis", self._redis_faults.kill),
            (1, "power cut", self._redis_faults.power_cut),
            (1, "frozen Redis", self._redis_faults.freeze),
            (3, "Segment fault", self._segment_fault),
            (3, "Mavera fault", self._mavera_fault),
            (2, "refused updates", self._refused_updates),
            (2, "short descriptions", self._short_descriptions),
            (2, "slow connects", self._slow_connects),
            (2 if self._clock else 0, "clock step", self._clock_step),
            (2, "tick", self._let_tick_come),
            (3, "killed server", self._kill_server),
            (2, "request", self._ask_again),
        ]

    async def _let_tick_come(self) -> None:
        await self._events.tick()

    async def _kill_server(self) -> None:
        self._api.kill()

    async def _ask_again(self) -> None:
        number = sum(one.request.space_id == AGAIN for one in self._api.requests.values())
        if number < _MOST_KEYS:
            self._api.ask(f"{AGAIN}-{number}", self._spaces.request(AGAIN), force=True)

    def _server_environment(self) -> Mapping[str, str]:
        """A server with the key of Mavera, whose syncs belong to its account, or without; then, to their worker's."""
        if self._random.random() < 0.5:
            return environment(self._redis.url, None)
        url = f"{self._front.url}/api/v1"
        return environment(self._redis.url, self._sandbox, MAVERA_BASE_URL=url, **self._front.environment)

    async def _start_worker(self, plan: str = "") -> None:
        log = self._folder / f"worker-{self._started}.log"
        self._started += 1
        timeout_s, settle_s = self._random.choice(TIMES)
        env = environment(
            self._redis.url,
            self._sandbox,
            COMMIT_INTERVAL_S="0.05",
            RETRY_BUDGET_S="60",
            FILES_DIR=str(self._folder / "files"),
            **({"WAREHOUSE_URL": self._spaces.warehouse.url} if self._spaces.warehouse else {}),
            MAVERA_TIMEOUT_S=timeout_s,
            MAVERA_SETTLE_S=settle_s,
            MAVERA_BASE_URL=f"{self._front.url}/api/v1",
            WEBHOOK_URL=f"{self._events.receiver.url}/events",
            WEBHOOK_SECRET=SECRET,
            **self._front.environment,
        )
        # From a fork server, because a round starts many of them.
        self._workers.append(WorkerProcess(env, log, fork_server=shared_fork_server(), plan=plan))

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
        await self._start_worker(self._end_at(*POINTS))

    def _end_at(self, *points: str) -> str:
        """A plan to end at one of these points."""
        point, how = self._random.choice(points), self._random.choice(list(HOW))
        return f"{point}:{self._random.randint(1, 4)}:{how}"

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
        for fault in self._spaces.poisons.values():
            self._sandbox.add_fault(fault)
        self._sandbox.set_options(mavera_reads=True)
        self._front.delay_s = 0
        self._events.fails = False
        for worker in self._workers:
            if worker.alive:
                worker.go_on()
        for _ in range(2):
            await self._start_worker()
