"""One job reads Mavera's list for all jobs of the process that need it at the same time."""

from __future__ import annotations

import asyncio
import gc

import pytest

from worker.errors import Retry
from worker.jobs.personas.lookup.persona_list import Listing
from worker.jobs.personas.lookup.shared_list import SharedList


class _Mavera:
    """Reads lists, each when the test says so."""

    def __init__(self) -> None:
        self.reads: list[asyncio.Future[Listing]] = []

    async def read(self) -> Listing:
        self.reads.append(asyncio.get_running_loop().create_future())
        return await self.reads[-1]


def _listing(begun_at: float = 1.0) -> Listing:
    return Listing(family="", personas=(), why="", endless=False, run="r", unsettled_s=0, begun_at=begun_at, took_s=0)


async def test_jobs_that_wait_together_get_the_list_that_one_of_them_reads() -> None:
    shared, mavera, newest = SharedList(), _Mavera(), _listing()
    jobs = [asyncio.create_task(shared.get(mavera.read, usable=lambda _: True)) for _ in range(5)]
    await asyncio.sleep(0)
    mavera.reads[0].set_result(newest)
    assert all(one is newest for one in await asyncio.gather(*jobs))
    assert len(mavera.reads) == 1


async def test_a_job_reads_itself_what_another_one_could_not_read_or_may_not_share() -> None:
    shared, mavera = SharedList(), _Mavera()
    failing, stopped, waiting = (
        asyncio.create_task(shared.get(mavera.read, usable=lambda one: one.begun_at > 1)) for _ in range(3)
    )
    await asyncio.sleep(0)
    stopped.cancel()
    mavera.reads[0].set_exception(Retry("mavera_unavailable", "no answer"))
    with pytest.raises(Retry):
        await failing
    await asyncio.sleep(0)
    old = _listing()
    mavera.reads[1].set_result(old)
    assert await waiting is old  # its own, so its age does not matter
    again = asyncio.create_task(shared.get(mavera.read, usable=lambda one: one.begun_at > 1))
    await asyncio.sleep(0)
    mavera.reads[2].set_result(_listing(2.0))
    assert (await again).begun_at == 2.0


async def test_a_list_that_no_job_uses_any_more_is_not_kept() -> None:
    shared, mavera = SharedList(), _Mavera()
    for number in range(2):
        job = asyncio.create_task(shared.get(mavera.read, usable=lambda _: True))
        await asyncio.sleep(0)
        mavera.reads.pop().set_result(_listing(number))
        assert (await job).begun_at == number
        del job
        gc.collect()
