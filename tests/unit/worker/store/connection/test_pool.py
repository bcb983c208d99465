"""The store's client: what arq writes through it."""

from __future__ import annotations

from arq.jobs import serialize_result
from arq.worker import JobExecutionFailed

from worker.store import StorePool


async def test_the_result_of_a_cancelled_job_is_written_without_an_error(fake_pool: StorePool) -> None:
    error = JobExecutionFailed("job expired")
    written = serialize_result(
        "fetch", (), {}, 1, 0, False, error, 0, 0, "ref", "queue", "id", serializer=fake_pool.job_serializer
    )
    assert written is not None
    assert b"JobExecutionFailed" in written
    assert b"expired" not in written
