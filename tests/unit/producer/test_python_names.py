"""What `producer` offers to other programs: names, short representations, and one sentence if a package is shadowed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import producer
from producer import ConfigurationError, PersonasError, SyncClient, SyncConflict, SyncFailed, SyncNotFound, run_sync
from producer.errors import SyncFailed as ClientSyncFailed
from worker.errors import StoreUnavailable
from worker.models.outcome import PersonaOutcome
from worker.models.request import SyncRequest
from worker.models.sync import Sync
from worker.settings import load_settings
from worker.store import StorePool


@pytest.mark.parametrize("name", producer.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    assert getattr(producer, name).__name__ == name


def test_the_errors_have_one_base() -> None:
    for error in (SyncConflict, SyncFailed, SyncNotFound, StoreUnavailable, ConfigurationError):
        assert issubclass(error, PersonasError)
    assert SyncFailed is ClientSyncFailed


async def _a_sync(pool: StorePool) -> Sync:
    client = SyncClient.from_pool(pool, load_settings())
    return await client.enqueue(SyncRequest(space_id="spa"), sync_id="syn_1")


async def test_a_sync_is_shown_in_one_short_line(fake_pool: StorePool) -> None:
    shown = repr(await _a_sync(fake_pool))
    assert len(shown) < 200
    assert "aggregate" not in shown
    assert all(part in shown for part in ("syn_1", "spa", "queued"))


async def test_names_in_python_are_those_of_the_json(fake_pool: StorePool) -> None:
    sync = await _a_sync(fake_pool)
    assert (sync.sync_id, sync.status, sync.space_id) == ("syn_1", "queued", "spa")
    assert (sync.pages_fetched, sync.profiles_fetched, sync.credits_charged, sync.personas) == (0, 0, 0, ())
    outcome = PersonaOutcome("high_value", "per_1", "created", 300)
    assert (outcome.id, outcome.key) == ("per_1", "high_value")


def test_a_blocking_call_without_redis_and_keys_names_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_URL", "SEGMENT_TOKEN", "MAVERA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=r"REDIS_URL is not set.*SEGMENT_TOKEN, MAVERA_API_KEY are") as caught:
        run_sync(SyncRequest(space_id="spa"))
    assert "redis_url" in caught.value.hint
    for file in ("-", "/dev/stdin", "export.ndjson"):
        with pytest.raises(ConfigurationError, match="cannot read the file"):
            run_sync(SyncRequest(space_id="spa", file=file))


@pytest.mark.parametrize("kind", ["package", "module", "folder"])
@pytest.mark.parametrize(
    "arguments", [("-c", "from producer import SyncClient"), ("-m", "producer", "list"), ("-m", "producer", "--help")]
)
def test_a_foreign_package_called_worker_is_named_in_one_sentence(
    tmp_path: Path, kind: str, arguments: tuple[str, ...]
) -> None:
    if kind == "module":
        (tmp_path / "worker.py").touch()
    else:
        (tmp_path / "worker").mkdir()
    if kind == "package":
        (tmp_path / "worker" / "__init__.py").touch()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=tmp_path)
    if kind == "folder":  # a folder without __init__.py does not shadow an installed package
        assert "needs its own package" not in done.stderr
        return
    last = done.stderr.splitlines()[-1]
    assert done.returncode == (1 if arguments[0] == "-c" else 2)
    assert "needs its own package `worker`" in last
    assert str(tmp_path / "worker") in last
    assert len(done.stderr.splitlines()) == 1 or arguments[0] == "-c"
