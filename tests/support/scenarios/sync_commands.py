"""The commands for syncs, with a worker in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from producer.cli.commands import syncs
from producer.cli.sync_options import SyncOptions
from producer.cli.terminal import stderr
from producer.sandbox import Sandbox
from tests.support.processes.workers import QUICK
from worker.jobs.process.worker_process import serve
from worker.settings import Settings, load_settings
from worker.store import redis_pool
from worker.store.connection.pool import closing

FOREVER = float("inf")


def settings_of(url: str | None, sandbox: Sandbox, **changes: object) -> Settings:
    quick = {name.lower(): value for name, value in QUICK.items()}
    return load_settings(
        **{
            **quick,
            "redis_url": url,
            "segment_token": "sandbox",
            "segment_base_url": sandbox.segment_url,
            "segment_space_id": None,
            "mavera_api_key": "mvra_test_sandbox",
            "mavera_base_url": sandbox.mavera_url,
            **changes,
        }
    )


@contextlib.asynccontextmanager
async def running_worker(settings: Settings) -> AsyncIterator[None]:
    """A worker in this process."""
    assert settings.redis_url
    async with closing(redis_pool(settings.redis_url.get_secret_value())) as pool:
        ready = asyncio.Event()
        worker = asyncio.create_task(serve(settings, pool, ready=ready.set))
        try:
            await ready.wait()
            yield
        finally:
            worker.cancel()
            await asyncio.wait({worker})


class SyncCommands:
    """Runs a command and keeps its output: `out` for programs, `err` for people."""

    def __init__(self, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
        self._settings = settings
        self._capsys = capsys
        self.out = self.err = ""

    async def sync(self, *space_ids: str, settings: Settings | None = None, **options: object) -> int:
        asked = SyncOptions(space_ids, **options)  # type: ignore[arg-type]
        return await self._run(syncs.run_sync(settings or self._settings, stderr(), asked))

    async def status(
        self,
        sync_id: str,
        *,
        json: bool = False,
        follow: bool = False,
        timeout_s: float = FOREVER,
        details: bool = False,
    ) -> int:
        return await self._run(
            syncs.show_status(
                self._settings, stderr(), sync_id, json=json, follow=follow, timeout_s=timeout_s, details=details
            )
        )

    async def listed(self, *, json: bool = False, limit: int = 20) -> int:
        return await self._run(syncs.list_syncs(self._settings, stderr(), json=json, limit=limit))

    async def history(self, space_id: str, *, json: bool = False) -> int:
        return await self._run(
            syncs.show_history(self._settings, stderr(), space_id, collection="users", rules="recipe", json=json)
        )

    async def cancel(self, sync_id: str) -> int:
        return await self._run(syncs.cancel_sync(self._settings, stderr(), sync_id))

    async def resume(
        self,
        sync_id: str,
        *,
        restart: bool = False,
        accept: bool = False,
        max_credits: int | None = None,
        wait: bool = True,
        json: bool = False,
    ) -> int:
        return await self._run(
            syncs.resume_sync(
                self._settings,
                stderr(),
                sync_id,
                restart=restart,
                options=syncs.ContinueOptions(accept, max_credits, wait, json, FOREVER),
            )
        )

    async def apply(self, sync_id: str, *, max_credits: int | None = None, wait: bool = True) -> int:
        return await self._run(
            syncs.apply_plan(
                self._settings,
                stderr(),
                sync_id,
                allow_partial=False,
                options=syncs.ContinueOptions(False, max_credits, wait, False, FOREVER),
            )
        )

    @property
    def document(self) -> dict[str, object]:
        """The one JSON document that was printed."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    async def _run(self, command: Coroutine[Any, Any, int]) -> int:
        code = await command
        self.out, self.err = self._capsys.readouterr()
        return code
