"""Fixtures for integration tests."""

from __future__ import annotations

import pytest_asyncio

from tests.support.scenarios.scenario import know_run
from worker.store import StorePool


@pytest_asyncio.fixture
async def real_pool(real_pool: StorePool) -> StorePool:
    """The store's client over a real redis-server, which is empty and yet known, so that purchases need not wait."""
    await know_run(real_pool)
    return real_pool
