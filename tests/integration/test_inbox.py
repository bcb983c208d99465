"""Requests that other programs put into Redis: each starts one sync or is refused with a reason."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_api.api_server import start_api
from tests.support.project.docs import ROOT
from tests.support.servers.redis_server import RedisServer, in_ci
from tests.support.syncs.syncs import RETENTION_MS, STALL_MS
from worker.jobs.background.inbox_reader import InboxReader
from worker.store import ClientSyncStore, StorePool, keys
from worker.store.inbox import InboxStore


async def test_the_example_in_node_js_runs_a_sync_with_only_a_redis_client(
    session_redis: RedisServer, tmp_path: Path
) -> None:
    node = shutil.which("node")
    if node is None and not in_ci():
        pytest.skip("node is not installed")
    assert node
    package = tmp_path / "node_modules" / "redis"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "tests/support/nodejs/redis.mjs", package / "index.mjs")
    (package / "package.json").write_text('{"name": "redis", "type": "module", "exports": "./index.mjs"}')
    example = shutil.copy(ROOT / "examples/nodejs/enqueue.mjs", tmp_path)

    async def run(*arguments: str) -> tuple[int | None, Any, str]:
        process = await asyncio.create_subprocess_exec(
            *(node, example, *arguments),
            env={"REDIS_URL": session_redis.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode, json.loads(out or "null"), err.decode()

    async with start_api(session_redis) as api:
        code, first, err = await run("spa", "nightly-1")
        assert (code, err) == (0, "")
        assert first["state"] == "completed"
        assert first["clusters"] == ["at_risk", "growth", "high_value"]
        assert (await run("spa", "nightly-1"))[1] == first
        assert [sync.id for sync in await api.client.list()] == [first["sync_id"]]
        code, _, err = await run("a space", "nightly-2")
        assert code == 1
        assert err.startswith("invalid_request: request.space_id")


async def answer(pool: StorePool, document_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await pool.get(keys.answer(document_id)) or b"{}")
    return found


def document(document_id: str, **request: Any) -> str:
    return json.dumps({"v": 1, "id": document_id, "request": {"space_id": "spa", **request}})


@pytest.fixture
def reader(fake_pool: StorePool) -> InboxReader:
    syncs = ClientSyncStore(fake_pool, stall_ms=STALL_MS, retention_ms=RETENTION_MS)
    return InboxReader(InboxStore(fake_pool, retention_ms=RETENTION_MS), syncs)


async def test_a_document_that_comes_again_means_the_same_sync(fake_pool: StorePool, reader: InboxReader) -> None:
    await fake_pool.rpush(keys.INBOX, document("a"), document("a"), document("b"), document("c", max_profiles=5))
    await fake_pool.rpush(keys.INBOX, document("a", max_profiles=5))
    await reader.check_due()
    first = await answer(fake_pool, "b")  # another request for what runs already
    assert first == {"v": 1, "sync_id": first["sync_id"]}
    assert (await answer(fake_pool, "c"))["code"] == "sync_running"
    changed = await answer(fake_pool, "a")
    assert changed["code"] == "idempotency_key_used"
    assert "max-profiles" in changed["message"]
    assert await fake_pool.llen(keys.INBOX) == 0
    assert await fake_pool.zrevrangebyscore(keys.SYNCS, "+inf", "-inf") == [first["sync_id"].encode()]
    assert 0 < await fake_pool.pttl(keys.answer("b")) <= RETENTION_MS


async def test_what_is_not_a_document_is_refused_and_the_next_is_handled(
    fake_pool: StorePool, reader: InboxReader
) -> None:
    bad = {
        "x1": {"v": 1, "id": "x1", "request": {"space_id": "spa", "token": "s"}},
        "x2": {"v": 1, "id": "x2"},
        "x3": {"v": "1", "id": "x3", "request": {"space_id": "spa"}},
    }
    await fake_pool.rpush(keys.INBOX, "{", "[]", '{"v": 1, "id": ""}', b"\xff", *map(json.dumps, bad.values()))
    await fake_pool.rpush(keys.INBOX, document("good"))
    await reader.check_due()
    assert (await answer(fake_pool, "good"))["sync_id"]
    for document_id in bad:
        assert (await answer(fake_pool, document_id))["code"] == "invalid_request"
    assert await fake_pool.llen(keys.INBOX) == 0


async def test_a_document_of_a_newer_version_waits_for_newer_workers(fake_pool: StorePool, reader: InboxReader) -> None:
    await fake_pool.rpush(keys.INBOX, json.dumps({"v": 2, "id": "n", "more": 1}), document("a"))
    await reader.check_due()
    assert await fake_pool.llen(keys.INBOX) == 2
    assert await answer(fake_pool, "n") == {}


async def test_a_worker_that_dies_before_its_answer_leaves_the_same_sync_to_the_next(
    fake_pool: StorePool, reader: InboxReader
) -> None:
    text = document("a")
    await fake_pool.rpush(keys.INBOX, text)
    await reader.check_due()
    first = await answer(fake_pool, "a")
    await fake_pool.delete(keys.answer("a"))
    await fake_pool.rpush(keys.INBOX, text)  # as if the answer had not been written
    await reader.check_due()
    assert await answer(fake_pool, "a") == first
