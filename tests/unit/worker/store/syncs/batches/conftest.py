"""A fan-out sync for the tests of its batches."""

from __future__ import annotations

import pytest

from tests.support.syncs.fan_out import FanOut
from worker.store import StorePool


@pytest.fixture
def fan_out(pool: StorePool) -> FanOut:
    return FanOut(pool)
