"""The garbage collector of a worker process."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator

import orjson
import pytest

from worker.jobs.process.liveness import tune_garbage_collector


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.set_threshold(*threshold)
    gc.unfreeze()


def looks() -> int:
    """How often the collector has looked at the youngest objects."""
    return int(gc.get_stats()[0]["collections"])


def test_a_batch_of_pages_that_are_there_at_a_time_hardly_wakes_the_collector() -> None:
    page = orjson.dumps([{"id": str(n), "traits": {"ltv": n, "plan": "a"}} for n in range(200)])
    tune_garbage_collector()
    before = looks()
    for _ in range(100):
        assert len([orjson.loads(page) for _ in range(8)]) == 8
    assert looks() - before <= 1


def test_a_cycle_is_still_collected_in_time() -> None:
    class Node:
        me: Node

    tune_garbage_collector()
    node = Node()
    node.me = node
    gone = weakref.ref(node)
    del node
    kept = [[] for _ in range(50_000)]  # type: ignore[var-annotated]
    assert gone() is None
    assert len(kept) == 50_000


def test_what_was_there_at_the_start_is_not_looked_at_again() -> None:
    tune_garbage_collector()
    assert gc.get_freeze_count() > 10_000


def test_importing_the_package_leaves_the_collector_of_its_process_alone() -> None:
    code = (
        "import gc; before = gc.get_threshold(); import worker, producer.cli.app; print(before == gc.get_threshold())"
    )
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "True"
