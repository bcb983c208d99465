"""Personal values that stand where nobody expects them: in traits that are not read, and in those that are."""

from __future__ import annotations

import json

import orjson

from producer.result import document
from tests.support.checks import contents
from tests.support.redis_server import RedisServer
from tests.support.stage import Start, staged
from tests.support.web_server import answer, serving
from worker.sync import SyncState

NOT_READ = ("email", "name", "phone", "address", "birthday", "Industry", "plan_owner", "last_ip")
PLANTED = (
    "Person{i} Familyname{i}",
    "someone{i}@personal.example",
    "+49 151 {i:08d}",
    "https://personal.example/users/u{i}",
    "0000000{i}-58cc-4372-a567-0e02b2c3d479",
    "use_2NxTpJ1kYbQ{i}",
    "secretword{i}",
)
"""What each profile has of its own, in a category that is read."""


def profile(i: int) -> dict[str, object]:
    traits: dict[str, object] = {name: f"own{i}x{name}" for name in NOT_READ}
    numbers = {"ltv": 900, "purchase_count": 4, "churn_risk": 0.05}
    own = PLANTED[i % len(PLANTED)].format(i=i)
    return {"id": f"use_own{i}", "traits": {**traits, **numbers, "industry": own, "plan": own if i % 2 else "pro"}}


async def test_no_value_of_one_person_is_found_anywhere_not_even_of_a_category_that_is_read(
    session_redis: RedisServer, start_worker: Start
) -> None:
    profiles = [profile(i) for i in range(100, 400)]
    pages = [
        answer(body=orjson.dumps({"data": {"profiles": part, "cursor": cursor}}))
        for part, cursor in ((profiles[:200], "more"), (profiles[200:], None))
    ]
    # Most values are personal ones, at which a guard would stop the sync.
    unguarded = {"GUARD_TRAIT_ERRORS": "1"}
    async with serving(*pages) as segment, staged(session_redis, start_worker, settings=unguarded) as stage:
        worker = stage.worker(SEGMENT_BASE_URL=segment.url, LOG_LEVEL="DEBUG")
        sync = await stage.sync()
        assert (sync.state, sync.profiles) == (SyncState.COMPLETED, 300), sync.error
        everything = await contents(stage.pool) + worker.text() + json.dumps(stage.sandbox.posts)
        everything += json.dumps(document(sync))
        # What is not personal is there, so the search looks in the right places.
        assert '"pro"' in everything
        assert "Plans: pro." in everything
        planted = {PLANTED[i % len(PLANTED)].format(i=i) for i in range(100, 400)}
        planted |= {f"own{i}" for i in range(100, 400)}
        assert [value for value in planted if value.lower() in everything.lower()] == []
