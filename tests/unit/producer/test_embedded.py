"""Everything in one process: it works, it ends cleanly, and made-up profiles stay in it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from producer import SyncRequest, SyncState, embedded
from producer.embedded import DEMO_OPTIONS, sandbox_settings
from producer.sandbox import SandboxOptions, SpaceSpec
from worker.errors import ConfigurationError
from worker.settings import Settings, load_settings
from worker.store import StorePool

SMALL = SandboxOptions({}, default_space=SpaceSpec(60, "recipe"))


def quick(**changes: object) -> Settings:
    return load_settings(mavera_gap_s=0, mavera_rate=1000, **changes)


async def test_a_sync_runs_to_its_end_in_one_process() -> None:
    async with sandbox_settings(quick(), SMALL) as settings, embedded.embedded_client(settings) as client:
        asked = await client.enqueue(SyncRequest(space_id="any"))
        done = await client.wait(asked.id)
    assert done.state is SyncState.COMPLETED
    assert [outcome.action for outcome in done.outcomes] == ["created"] * 3


async def test_stopping_in_the_middle_leaves_no_task_behind() -> None:
    slow = SandboxOptions({}, default_space=SpaceSpec(10_000, "recipe"), latency_s=0.05)
    before = asyncio.all_tasks()
    async with sandbox_settings(quick(), slow) as settings, embedded.embedded_client(settings) as client:
        asked = await client.enqueue(SyncRequest(space_id="any"))
        async for sync in client.follow(asked.id, every_s=0.02):
            if sync.pages:
                break
    assert asyncio.all_tasks() == before


async def test_made_up_profiles_never_meet_real_keys_or_a_real_redis() -> None:
    real = load_settings(
        redis_url="redis://127.0.0.1:1", segment_token="real-token", mavera_api_key="mvra_live_real", segment_rate=7
    )
    async with sandbox_settings(real, SMALL) as settings:
        assert settings.redis_url is None
        assert settings.segment_token
        assert settings.mavera_api_key
        assert settings.segment_token.get_secret_value() == "sandbox"
        assert settings.mavera_api_key.get_secret_value() == "mvra_test_sandbox"
        assert settings.segment_base_url.startswith("http://127.0.0.1:")
        assert settings.mavera_base_url.startswith("http://127.0.0.1:")
        assert settings.segment_rate == 7


@pytest.mark.parametrize("others", [None, "intern.example"])
async def test_the_sandbox_is_not_asked_through_a_proxy(monkeypatch: pytest.MonkeyPatch, others: str | None) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    if others:
        monkeypatch.setenv("no_proxy", others)
    async with sandbox_settings(quick(), SMALL) as settings, embedded.embedded_client(settings) as client:
        asked = await client.enqueue(SyncRequest(space_id="any", max_profiles=3, min_cluster_size=9))
        assert (await client.wait(asked.id)).state is SyncState.COMPLETED
    assert os.environ.get("no_proxy") == others


async def test_without_a_token_nothing_starts_and_the_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="SEGMENT_TOKEN is not set"):
        async with embedded.embedded_client(load_settings(segment_token=None, mavera_api_key="mvra_test_x")):
            raise AssertionError("not reached")


async def test_a_worker_that_dies_ends_the_wait_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dying(_: Settings, __: StorePool, *, ready: Callable[[], None], **___: object) -> None:
        ready()
        await asyncio.sleep(0.01)
        raise RuntimeError("a defect")

    monkeypatch.setattr("worker.jobs.process.worker_process.serve", dying)
    with pytest.raises(RuntimeError, match="a defect"):
        async with sandbox_settings(quick(), SMALL) as settings, embedded.embedded_client(settings):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


def test_the_demo_is_worth_watching_and_short() -> None:
    spec = DEMO_OPTIONS.default_space
    assert spec is not None
    pages = spec.profiles / DEMO_OPTIONS.page_size
    assert 5 <= pages * DEMO_OPTIONS.latency_s <= 15
