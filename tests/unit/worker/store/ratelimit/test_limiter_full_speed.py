"""The limiter against a server that counts a sliding second: nearly all of its limit is used, and it never says 429.

In virtual time, with chance from a seed: what happens is the same on every machine.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.support.clocks.virtual_time import VirtualTimeLoop, run_in_virtual_time
from tests.support.servers.rate_limited_server import Load, Outcome, Run, ask
from worker.store import embedded_pool
from worker.store.connection.pool import closing


def outcome_of(load: Load, seconds: float) -> Outcome:
    outcomes = []

    async def body() -> None:
        outcomes.append(await ask(load, seconds))

    run_in_virtual_time(body)
    return outcomes[0]


@pytest.mark.parametrize(
    ("limit", "callers", "seconds", "workers", "jitter_s"),
    [(10, 8, 10, 1, 0.03), (10, 8, 10, 4, 0.0), (100, 32, 3, 1, 0.0), (100, 32, 3, 4, 0.03)],
)
def test_the_servers_own_limit_is_used_up_and_never_overrun(
    limit: int, callers: int, seconds: float, workers: int, jitter_s: float
) -> None:
    load = Load(limit, limit, workers, callers, jitter_s)
    seen = outcome_of(load, seconds)
    assert seen.refused == 0
    assert seen.per_second >= 0.95 * limit
    assert len(seen.by_worker) == workers


def test_a_limit_of_a_thousand_a_second_is_used_up_and_never_overrun() -> None:
    seen = outcome_of(Load(1000, 1000, workers=4, callers=160, jitter_s=0.03), 1.2)
    assert seen.refused == 0
    assert seen.per_second >= 950


def test_less_of_a_margin_would_not_do() -> None:
    """The server can tell: it does refuse a client that uses all of its limit."""
    assert outcome_of(Load(102, 100, jitter_s=0.03), 4).refused > 0


def test_workers_that_do_not_need_all_of_the_limit_are_not_in_each_others_way() -> None:
    chains = Load(100, 100, workers=4, callers=1, answer_s=0.05, late=False)
    assert outcome_of(chains, 3).per_second == pytest.approx(4 / 0.05, rel=0.03)


def test_a_process_that_is_stopped_again_and_again_overruns_nothing() -> None:
    async def body() -> None:
        async with closing(embedded_pool()) as pool:
            run = Run(Load(100, 100, workers=2, jitter_s=0.03), pool, seed=1)
            asking = asyncio.create_task(run.run(4))
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualTimeLoop)
            while not asking.done():
                await asyncio.sleep(0.4)
                loop.pass_time(0.15)
            seen = await asking
            assert seen.refused == 0
            assert seen.per_second > 80

    run_in_virtual_time(body)


def test_a_limit_that_others_use_too_is_found_by_its_refusals() -> None:
    """A fifth of the limit is taken by somebody else, and no header says so."""
    seen = outcome_of(Load(100, 80, workers=2, late=False), 30)
    assert seen.refused < 60
    assert 0.6 * 80 < seen.per_second < 80
