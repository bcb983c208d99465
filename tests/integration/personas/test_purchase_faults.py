"""Exactly once at Mavera: whatever happens around a POST, each cluster ends with one persona, recorded, paid once."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable

import aiohttp
import orjson
import pytest

from producer import SyncRequest
from producer.sandbox import Fault
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE, SOON_SETTLED, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.web_server import answer, serving
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.models.sync import SyncState
from worker.store import keys
from worker.store.ratelimit.limiter import NEAR_S

LATE = {"MAVERA_TIMEOUT_S": "0.5", "MAVERA_SETTLE_S": "5", "MAVERA_GAP_S": "0.05"}
"""For a persona that is listed two seconds after its claim: three seconds before the settle time ends."""


def on_post(kind: str, at: int = 2, **options: object) -> Fault:
    """A fault that befalls the `at`-th POST, and no other."""
    return Fault("mavera", kind, route="create", at=at, **options)  # type: ignore[arg-type]


async def test_a_persona_whose_answer_was_lost_is_found_at_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    # Each sync meets one of them.
    faults = (
        on_post("created_lost", at=1),
        on_post("created_error", at=2, status=500),
        on_post("created_error", at=3, status=503),
        on_post("truncate", at=4),
    )
    spaces = {f"spa_{i}": RECIPE for i in range(len(faults))}
    settings = {**SOON_SETTLED, "MAVERA_GAP_S": "0.05"}
    async with start_scenario(session_redis, start_worker, spaces, settings=settings, faults=faults) as scenario:
        scenario.worker()
        for sync in [await scenario.enqueue(space) for space in spaces]:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == scenario.sandbox.journal.count("mavera.create") == 3 * 4


async def test_a_persona_that_comes_late_or_never_is_waited_for_and_then_bought_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    # Each sync meets one of them.
    faults = (
        on_post("created_late", at=1, seconds=1.5),  # made after the connection broke
        on_post("slow", at=2, seconds=1.8),  # made after our time-out
        on_post("html", at=3),  # not made, and answered with 200
        on_post("drop", at=4),  # not made, and the connection broke
    )
    spaces = {f"spa_{i}": RECIPE for i in range(len(faults))}
    async with start_scenario(session_redis, start_worker, spaces, settings=LATE, faults=faults) as scenario:
        scenario.worker()
        syncs = [await scenario.enqueue(space) for space in spaces]
        await scenario.sandbox.journal.wait_arrived("mavera.late")
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3 * 4
        # The two that never came, and no other, were asked for again.
        assert scenario.sandbox.journal.count("mavera.create") == 3 * 4 + 2


async def test_a_persona_that_mavera_lists_late_is_not_bought_again(
    session_redis: RedisServer, start_worker: Start
) -> None:
    faults = (on_post("created_lost", at=1), on_post("created_late", at=2, seconds=0.4))
    spaces = {"spa_0": RECIPE, "spa_1": RECIPE}
    options = {"settings": LATE, "faults": faults, "listing_lag_s": 1.4}
    async with start_scenario(session_redis, start_worker, spaces, **options) as scenario:  # type: ignore[arg-type]
        scenario.worker()
        for sync in [await scenario.enqueue(space) for space in spaces]:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == scenario.sandbox.journal.count("mavera.create") == 3 * 2


async def test_workers_killed_around_the_post_leave_one_persona_each(
    session_redis: RedisServer, start_worker: Start
) -> None:
    points = ["after_claim", "after_post", "before_record", "after_record"]
    spaces = {f"spa_{i}": RECIPE for i in range(len(points))}
    async with start_scenario(session_redis, start_worker, spaces, settings=SOON_SETTLED) as scenario:
        # Each dies in the middle of the first sync that it finalizes.
        dying = [scenario.worker(f"{point}:2:kill", ready=False, WORKER_SLOTS="1") for point in points]
        syncs = [await scenario.enqueue(space) for space in spaces]
        for worker in dying:
            assert await asyncio.to_thread(worker.process.wait) < 0
        scenario.worker()
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3 * 4


async def test_a_persona_made_while_redis_is_away_is_recorded_when_it_is_back(
    redis_server: RedisServer, start_worker: Start
) -> None:
    spaces = {"spa_0": RECIPE, "spa_1": RECIPE}
    async with start_scenario(redis_server, start_worker, spaces, settings=SOON_SETTLED) as scenario:
        # Each buys for one of the spaces; then one of them dies while it cannot record what it has bought.
        survivor, dying = (scenario.worker(WORKER_SLOTS="1") for _ in range(2))
        scenario.sandbox.add_fault(on_post("hold", at=1, times=2))
        syncs = [await scenario.enqueue(space) for space in spaces]
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        await asyncio.to_thread(redis_server.stop)
        scenario.sandbox.clear_faults()
        await scenario.sandbox.journal.wait_answered("mavera.create", 2)
        dying.kill()
        await asyncio.to_thread(redis_server.start)
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3 * 2
        assert survivor.alive, survivor.text()


@pytest.mark.parametrize(
    ("cut_at", "worker"),
    [
        pytest.param(0.0, "lives", id="claims and records are lost"),
        pytest.param(0.0, "is killed", id="claims and records are lost, and the worker dies"),
        pytest.param(0.55, "lives", id="the last of them are lost"),
    ],
)
async def test_a_power_cut_that_takes_claim_and_record_leaves_one_persona(
    cut_at: float, worker: str, redis_server: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(redis_server, start_worker, settings=SOON_SETTLED) as scenario:
        # Frozen just before its first claim: what the file holds by then survives.
        buyer = scenario.worker("before_claim:1:stop")
        sync = await scenario.enqueue()
        await asyncio.to_thread(buyer.wait_frozen)
        path = redis_server.append_only_file()
        safe = path.stat().st_size
        scenario.sandbox.add_fault(on_post("hold", at=3))
        buyer.go_on()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 3)
        # Two personas are recorded, the last is on its way.
        await asyncio.to_thread(redis_server.kill)
        if worker == "is killed":
            buyer.kill()
        with path.open("r+b") as file:
            file.truncate(safe + int(cut_at * (path.stat().st_size - safe)))
        scenario.sandbox.clear_faults()
        await asyncio.to_thread(redis_server.start)
        scenario.worker()
        sync = await scenario.ended(sync)
        # What a purchase had cost may be lost with it, but only with the worker that knew.
        lost = 300 * sum(outcome.action == "updated" for outcome in sync.outcomes) if worker == "is killed" else 0
        await scenario.assert_bought_once(sync, credits_charged=900 - lost)
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3


async def test_a_finalizer_of_an_old_epoch_that_wakes_up_buys_nothing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"MAVERA_TIMEOUT_S": "8", "MAVERA_SETTLE_S": "10"}
    async with start_scenario(session_redis, start_worker, settings=settings) as scenario:
        # Frozen with the right to buy in its hand.
        old = scenario.worker("before_post:2:stop")
        sync = await scenario.enqueue()
        await asyncio.to_thread(old.wait_frozen)
        scenario.sandbox.add_fault(on_post("hold", at=1))
        scenario.worker()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        old.go_on()
        # It has seen that its time is over once it says so; of which epoch depends on how young Redis was.
        await until(lambda: _says(old.text, r"finalize job of epoch \d+ stops"))
        scenario.sandbox.clear_faults()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3


async def test_two_forced_syncs_that_finalize_together_buy_each_persona_once(
    session_redis: RedisServer, start_worker: Start
) -> None:
    settings = {"MAVERA_TIMEOUT_S": "4", "MAVERA_SETTLE_S": "6"}
    async with start_scenario(session_redis, start_worker, settings=settings) as scenario:
        scenario.worker()
        scenario.worker()
        scenario.sandbox.add_fault(Fault("mavera", "hold", route="create"))
        syncs = [await scenario.enqueue(force=True) for _ in range(2)]
        await scenario.sandbox.journal.wait_arrived("mavera.create")
        # One of them has sent its POST; the other has found the claim and waits.
        await until(lambda: _any_waits(scenario, [sync.id for sync in syncs]))
        scenario.sandbox.clear_faults()
        ended = [await scenario.ended(sync) for sync in syncs]
        for sync in ended:
            await scenario.assert_bought_once(sync, credits_charged=sync.credits)
        await scenario.assert_clean()
        assert sum(sync.credits for sync in ended) == 900
        assert len(scenario.sandbox.personas) == 3
        assert {o.persona_id for o in ended[0].outcomes} == {o.persona_id for o in ended[1].outcomes}


async def _any_waits(scenario: Scenario, sync_ids: list[str]) -> bool:
    return any(["may be under way" in (await scenario.client.get(sync_id)).note for sync_id in sync_ids])


async def _says(text: Callable[[], str], pattern: str) -> bool:
    return re.search(pattern, text()) is not None


async def test_a_persona_on_a_late_page_of_maveras_list_is_found(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = await scenario.sync()
        await scenario.assert_bought_once(first)
        await _add_lookalikes(scenario, 250)
        await scenario.pool.flushall()
        listed = scenario.sandbox.journal.count("mavera.list")
        second = await scenario.sync()
        assert {o.cluster: o.persona_id for o in second.outcomes} == {o.cluster: o.persona_id for o in first.outcomes}
        await scenario.assert_bought_once(second, credits_charged=0)
        # Three pages before the space was read, and three after.
        assert scenario.sandbox.journal.count("mavera.list") - listed == 6


async def test_a_list_without_a_clear_end_buys_nothing_and_fails_resumable(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, mavera_next_cursor=False) as scenario:
        scenario.worker()
        await _add_lookalikes(scenario, 100)
        sync = await scenario.sync()
        assert (sync.state, sync.failed_in) == (SyncState.FAILED, SyncState.FINALIZING)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("persona_in_doubt", True)
        assert len(scenario.sandbox.personas) == 100
        scenario.sandbox.set_options(mavera_next_cursor=True)
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_post_in_doubt_is_not_repeated_while_the_list_shows_no_end(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, settings=SOON_SETTLED) as scenario:
        await _add_lookalikes(scenario, 100)
        scenario.sandbox.add_fault(on_post("hold"))
        scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 102)
        scenario.sandbox.set_options(mavera_next_cursor=False)
        sync = await scenario.ended(sync)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("persona_in_doubt", True)
        # The persona comes into being, and the list has an end again.
        scenario.sandbox.clear_faults()
        await scenario.sandbox.journal.wait_answered("mavera.create", 102)
        scenario.sandbox.set_options(mavera_next_cursor=True)
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))


async def test_a_persona_deleted_by_hand_is_created_again_once(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = {outcome.cluster: outcome.persona_id for outcome in (await scenario.sync()).outcomes}
        assert scenario.sandbox.delete_persona(first["growth"])
        sync = await scenario.sync()
        await scenario.assert_bought_once(sync, credits_charged=300)
        actions = {outcome.cluster: outcome.action for outcome in sync.outcomes}
        assert actions == {"high_value": "unchanged", "growth": "created", "at_risk": "unchanged"}
        assert len(scenario.sandbox.posts) == 4


async def test_credits_that_end_in_the_middle_are_resumed_with_only_what_is_missing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, credits=700, usage_route=False) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        assert (sync.state, sync.failed_in, len(sync.outcomes)) == (SyncState.FAILED, SyncState.FINALIZING, 2)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("insufficient_credits", True)
        assert "Top up" in sync.error.hint
        scenario.sandbox.set_options(credits=300)
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert len(scenario.sandbox.posts) == 3
        assert scenario.sandbox.patches == []
        assert scenario.sandbox.journal.count("segment.page") == 1


async def test_a_key_revoked_in_the_middle_is_resumed_with_only_what_is_missing(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, faults=(on_post("hold"),)) as scenario:
        scenario.worker()
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        scenario.sandbox.set_options(mavera_key="mvra_test_another")
        scenario.sandbox.clear_faults()
        sync = await scenario.ended(sync)
        assert (sync.state, len(sync.outcomes)) == (SyncState.FAILED, 2)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("mavera_unauthorized", True)
        assert "MAVERA_API_KEY" in sync.error.hint
        scenario.sandbox.set_options(mavera_key="mvra_test_sandbox")
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert len(scenario.sandbox.posts) == 3
        assert scenario.sandbox.journal.count("segment.page") == 1


async def test_a_payload_that_mavera_calls_wrong_fails_for_good_and_names_the_field(
    session_redis: RedisServer, start_worker: Start
) -> None:
    refusal = {"message": "psychographic is not allowed", "code": "invalid_field", "param": "psychographic"}
    answers = {"GET": answer(body=b'{"data": []}'), "POST": answer(400, orjson.dumps({"error": refusal}))}

    async def by_method() -> AsyncIterator[bytes]:
        yield answers[mavera.requests[-1].method]

    async with serving(by_method) as mavera, start_scenario(session_redis, start_worker) as scenario:
        scenario.worker(MAVERA_BASE_URL=mavera.url)
        sync = await scenario.sync()
        assert sync.state is SyncState.FAILED
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("mavera_validation", False)
        assert "psychographic is not allowed (invalid_field, psychographic)" in sync.error.message
        assert [request.method for request in mavera.requests].count("POST") == 1
        await scenario.assert_clean()


async def test_a_429_is_obeyed_by_every_worker_and_every_sync(session_redis: RedisServer, start_worker: Start) -> None:
    spaces = {f"spa_{i}": RECIPE for i in range(4)}
    settings = {"MAVERA_GAP_S": "0.1", "WORKER_SLOTS": "2", "LEASE_S": "60", "STALL_S": "60", "SEGMENT_TIMEOUT_S": "60"}
    async with start_scenario(session_redis, start_worker, spaces, settings=settings) as scenario:
        scenario.sandbox.add_fault(Fault("segment", "hold"))
        for _ in range(2):
            scenario.worker()
        syncs = [await scenario.enqueue(space) for space in spaces]
        await scenario.sandbox.journal.wait_arrived("segment.page", len(spaces))  # each worker reads two of them
        scenario.sandbox.clear_faults()
        scenario.sandbox.add_fault(on_post("status", at=3, status=429, retry_after="2"))
        for sync in syncs:
            await scenario.assert_bought_once(await scenario.ended(sync))
        until_us = int(await scenario.pool.hash_field(keys.limit(f"mavera:{scenario.account}"), "not_before") or 0)
        slots = await _slots(scenario)
        # What had its slot already at that moment is not to blame.
        assert [slot for slot in slots if until_us - (2 - NEAR_S) * 1e6 < slot < until_us] == []
        assert slots[-1] >= until_us
        assert len(slots) >= len(scenario.sandbox.journal.times("mavera"))


async def test_the_least_gap_holds_over_all_workers_and_syncs(session_redis: RedisServer, start_worker: Start) -> None:
    spaces = {f"spa_{i}": RECIPE for i in range(3)}
    async with start_scenario(session_redis, start_worker, spaces, settings={"MAVERA_GAP_S": "0.15"}) as scenario:
        scenario.worker()
        scenario.worker()
        for sync in [await scenario.enqueue(space) for space in spaces]:
            await scenario.assert_bought_once(await scenario.ended(sync))
        slots, sent = await _slots(scenario), len(scenario.sandbox.journal.times("mavera"))
        assert len(slots) >= sent >= 3 * 4
        assert min(later - earlier for earlier, later in itertools.pairwise(slots)) >= 0.15 * 1e6


async def _slots(scenario: Scenario) -> list[int]:
    """When requests to Mavera might be sent, in microseconds by Redis' clock; when they arrive, the machine decides."""
    return [int(slot) for slot in await scenario.pool.list_entries(keys.limit(f"mavera:{scenario.account}") + ":log")]


async def _add_lookalikes(scenario: Scenario, number: int) -> None:
    """Personas made by hand that the search for ours finds too: they quote its family, and carry no reference."""
    family = cluster_reference(SyncRequest(space_id="spa"), "", "").family
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer mvra_test_sandbox"}) as session:
        for i in range(number):
            body = {"name": f"Lookalike {i}", "description": f"Looks like {family}"}
            async with session.post(f"{scenario.sandbox.mavera_url}/personas", json=body) as response:
                assert response.status == 201
