"""Job payloads: the jobs of a sync as arq's queue holds them."""

from __future__ import annotations

import orjson
from arq.jobs import serialize_job
from arq.utils import timestamp_ms

from worker.jobs.job_payloads import batch_payload, sync_payload
from worker.models.sync import BatchKey
from worker.store import StorePool


def test_arq_can_read_a_job_payload(fake_pool: StorePool) -> None:
    made = sync_payload("syn_1", "finalize", 7)
    assert made.job_id == "syn_1:finalize:7"
    assert fake_pool.job_deserializer
    job = fake_pool.job_deserializer(made.job)
    assert (job["f"], job["a"], job["k"], job["t"]) == ("finalize", ["syn_1", 7], {}, None)
    assert orjson.loads(made.job) == job


def test_no_two_epochs_or_kinds_share_a_job_id() -> None:
    ids = {
        sync_payload(sync, kind, epoch).job_id
        for sync in ("a", "b")
        for kind in ("walk", "finalize")
        for epoch in (1, 2)
    }
    assert len(ids) == 8


def test_each_attempt_at_a_batch_has_its_own_job_id(fake_pool: StorePool) -> None:
    made = batch_payload(BatchKey("syn_1", slot=3, number=40, attempt=2))
    assert made.job_id == "syn_1:batch:3:40:2"
    assert fake_pool.job_deserializer
    job = fake_pool.job_deserializer(made.job)
    assert (job["f"], job["a"], job["k"]) == ("batch", ["syn_1", 3, 40, 2], {})


def test_a_job_is_written_as_arq_writes_it() -> None:
    ours = orjson.loads(sync_payload("syn_1", "walk", 3).job)
    assert ours.pop("v") == 1  # the version of the format, which arq ignores
    arqs = serialize_job("walk", ("syn_1", 3), {}, None, ours["et"], serializer=orjson.dumps)
    assert orjson.dumps(ours) == arqs
    assert abs(ours["et"] - timestamp_ms()) < 60_000
