"""The life of a sync against a plain model: any call may be repeated, delayed, or come from an old epoch or holder.

Every call goes to the scripts and to the model (`tests.support.store_model`); then answers and all keys must be the
same, and what must always hold does. On the in-memory Redis and on the real one.
"""

from __future__ import annotations

from hypothesis.stateful import run_state_machine_as_test

from tests.support.servers.redis_server import RedisServer
from tests.support.store_model.store_machine import CALM, StoreMachine
from worker.store import StorePool, embedded_pool, redis_pool


def test_the_store_does_what_the_model_does_in_memory() -> None:
    run_state_machine_as_test(lambda: StoreMachine(embedded_pool), settings=CALM)


def test_the_store_does_what_the_model_does_on_a_real_redis(session_redis: RedisServer) -> None:
    def connect() -> StorePool:
        return redis_pool(session_redis.url, max_wait_s=10)

    run_state_machine_as_test(lambda: StoreMachine(connect), settings=CALM)
