"""The stores, on the in-memory Redis and on a real one."""

from __future__ import annotations

import pytest

from tests.support.syncs.syncs import Syncs
from worker.store import StorePool


@pytest.fixture
def syncs(pool: StorePool) -> Syncs:
    return Syncs(pool)
