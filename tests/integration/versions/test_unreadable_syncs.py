"""The command line beside syncs that this version cannot read: one row each, one sentence, and no traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producer import SyncClient, SyncRequest
from tests.support.processes.command_line import Command, Done
from tests.support.processes.workers import environment
from tests.support.servers.redis_server import RedisServer
from worker.models.versions import FORMAT
from worker.store import StorePool, keys

UNREADABLE: dict[str, dict[str, Any]] = {
    "newer format": {"format": FORMAT + 1},
    "no JSON": {"request": "{"},
}


async def _run(redis: RedisServer, *arguments: str) -> Done:
    done = await (await Command.start(*arguments, env=environment(redis.url, None, COLUMNS="120"))).end()
    assert "Traceback" not in done.err, done.err
    assert "validation error" not in done.err
    return done


@pytest.mark.parametrize("damage", UNREADABLE)
async def test_a_sync_that_cannot_be_read_is_one_row_and_one_sentence(
    session_redis: RedisServer, real_pool: StorePool, damage: str
) -> None:
    async with SyncClient(session_redis.url) as client:
        bad = await client.enqueue(SyncRequest(space_id="spa"))
        good = await client.enqueue(SyncRequest(space_id="spa2"))
    await real_pool.hset(keys.sync(bad.id), mapping=UNREADABLE[damage])
    before = await real_pool.hgetall(keys.sync(bad.id))

    listed = await _run(session_redis, "list")
    assert listed.code == 0
    assert all(one in listed.out for one in (bad.id, good.id, "unreadable"))
    rows = {row["sync_id"]: row for row in json.loads((await _run(session_redis, "list", "--json")).out)}
    assert rows[bad.id]["status"] == "unreadable"
    code = rows[bad.id]["error"]["code"]
    assert code == ("newer_version" if damage.startswith("newer") else "sync_unreadable")
    assert rows[good.id]["status"] == "queued"

    shown = await _run(session_redis, "status", bad.id, "--json")
    assert (shown.code, json.loads(shown.out)) == (2, rows[bad.id])
    assert code in (await _run(session_redis, "status", bad.id)).out
    assert (await _run(session_redis, "history", "spa")).code == 0
    for name in ("cancel", "resume", "apply"):
        refused = await _run(session_redis, name, bad.id)
        assert (refused.code, refused.out) == (2, "")
        assert refused.err.count("\n") <= 3  # one sentence, wrapped
        assert bad.id in refused.err
    assert await real_pool.hgetall(keys.sync(bad.id)) == before
