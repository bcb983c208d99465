"""The caller of an API, in fake time over an in-memory Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.api_caller import Bench
from worker.http.client import new_session
from worker.store import StorePool


@pytest.fixture
async def bench(fake_pool: StorePool) -> AsyncIterator[Bench]:
    async with new_session() as session:
        yield Bench(fake_pool, session)
