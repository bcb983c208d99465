"""The claim file: what is written survives the process, and nothing personal is in it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path

import pytest

from worker.errors import ConfigurationError, ResumableStop
from worker.models.outcome import PersonaOutcome
from worker.models.sync import SyncState
from worker.store import LeaseGrant, PersonaRecord, StorePool
from worker.store.claims import claim_file as module
from worker.store.claims.claim_file import RECENT_S, ClaimFile, SpaceBusy, StateUnusable, state_folder
from worker.store.claims.written_claims import WrittenClaims
from worker.store.personas.persona_record import ClaimAnswer
from worker.store.personas.persona_store import PersonaStore

REFERENCE = "[segment-personas 0123456789 01234567]"
LEASE = LeaseGrant("syn_1", SyncState.FINALIZING, 1, "holder")
RECORD = PersonaRecord("per_1", "spa_1", "high_value", "syn_1", 20)
OUTCOME = PersonaOutcome("high_value", "per_1", "created", 300)


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "segment-personas"


def test_a_claim_is_there_for_the_next_process_until_it_is_closed(folder: Path) -> None:
    ClaimFile(folder, "test-1").open(REFERENCE, "try", "syn_1", 25)
    after = ClaimFile(folder, "test-1")
    assert after.claims == {REFERENCE: {"by": "try", "sync": "syn_1"}}
    assert ClaimFile(folder, "live-1").claims == {}
    after.close(REFERENCE, by="another")
    assert after.claims
    after.close(REFERENCE, by="try")
    assert ClaimFile(folder, "test-1").claims == {}


def test_a_recent_purchase_is_kept_unless_the_clock_is_far_away(folder: Path) -> None:
    clock = Clock()
    file = ClaimFile(folder, "test-1", clock=clock)
    file.open(REFERENCE, "try", "syn_1", 25)
    file.close(REFERENCE, persona_id="per_1")
    assert (file.claims, file.bought) == ({}, {REFERENCE: "per_1"})
    for step in (RECENT_S + 1, -RECENT_S - 1):
        clock.now = Clock.now + step
        assert file.bought == {}
    clock.now = Clock.now
    file.forget(REFERENCE)
    assert file.bought == {}


def test_a_claim_has_no_age_at_which_it_is_dropped(folder: Path) -> None:
    clock = Clock()
    file = ClaimFile(folder, "test-1", clock=clock)
    file.open(REFERENCE, "try", "syn_1", 25)
    clock.now += 86_400 * 365
    file.open("another", "try", "syn_2", 25)
    assert set(file.claims) == {REFERENCE, "another"}


def test_the_files_are_for_the_user_alone_and_name_no_space(folder: Path) -> None:
    file = ClaimFile(folder, "test-1")
    with file.lock(["spa_secret"]):
        file.open(REFERENCE, "try", "syn_1", 25)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert "secret" not in path.name
            assert b"secret" not in path.read_bytes()


def test_the_number_of_entries_is_bounded_and_the_newest_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    clock = Clock()
    file = ClaimFile(folder, "test-1", clock=clock)
    for number in range(5):
        clock.now += 1
        file.open(str(number), "try", "syn_1", 25)
    assert set(file.claims) == {"2", "3", "4"}


def test_a_space_is_locked_for_one_holder_and_an_account(folder: Path) -> None:
    with ClaimFile(folder, "test-1").lock(["spa_1", "spa_2"]):
        with ClaimFile(folder, "test-1").lock(["spa_3"]), ClaimFile(folder, "live-1").lock(["spa_1"]):
            pass
        with (
            pytest.raises(SpaceBusy, match=f"rocess {os.getpid()} .* syncs spa_2"),
            ClaimFile(folder, "test-1").lock(["spa_0", "spa_2"]),
        ):
            raise AssertionError("not reached")
        with ClaimFile(folder, "test-1").lock(["spa_0"]):  # the refused one has given back what it had
            pass
    with ClaimFile(folder, "test-1").lock(["spa_1"]):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"claims": {}}', '{"v": "1"}', '{"v": 2, "claims": {}}'])
def test_a_file_that_cannot_be_understood_stops_and_is_left_alone(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    path = folder / "test-1.json"
    path.write_text(text)
    with pytest.raises(StateUnusable, match=r"test-1\.json"):
        ClaimFile(folder, "test-1")
    assert path.read_text() == text


def test_fields_of_a_later_version_are_kept(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "test-1.json").write_text('{"v": 1, "more": [1], "claims": {"a": {"odd": 1}}, "bought": 3}')
    file = ClaimFile(folder, "test-1")
    file.open(REFERENCE, "try", "syn_1", 25)
    assert json.loads((folder / "test-1.json").read_bytes())["more"] == [1]
    assert set(file.claims) == {REFERENCE}


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable) as caught:
        ClaimFile(tmp_path / "file" / "state", "test-1")
    assert "XDG_STATE_HOME" in caught.value.hint
    with pytest.raises(StateUnusable):
        ClaimFile(Path("/proc/segment-personas"), "test-1")


def test_where_the_state_is() -> None:
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/segment-personas")
    assert state_folder({"XDG_STATE_HOME": "relative", "HOME": "/h"}, platform="linux") == Path(
        "/h/.local/state/segment-personas"
    )
    assert state_folder({"HOME": "/h"}, platform="darwin").parts[:2] == ("/", "h")


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(ConfigurationError, match="XDG_STATE_HOME"):
        state_folder({})


@pytest.fixture
async def store(fake_pool: StorePool, folder: Path, monkeypatch: pytest.MonkeyPatch) -> WrittenClaims:
    async def won(*_: object, **__: object) -> ClaimAnswer:
        return ClaimAnswer("won")

    monkeypatch.setattr(PersonaStore, "claim", won)  # no sync is needed to have a claim
    return WrittenClaims(fake_pool, "test-1", ClaimFile(folder, "test-1"), 25)


async def test_a_claim_is_on_the_disk_before_it_is_won(store: WrittenClaims, folder: Path) -> None:
    await store.claim(LEASE, REFERENCE, "try")
    assert set(ClaimFile(folder, "test-1").claims) == {REFERENCE}
    await store.record(REFERENCE, RECORD, OUTCOME)
    after = ClaimFile(folder, "test-1")
    assert (after.claims, after.bought) == ({}, {REFERENCE: "per_1"})
    assert await store.delete_record(REFERENCE, RECORD)
    assert ClaimFile(folder, "test-1").bought == {}


async def test_a_restored_claim_is_new_and_its_release_ends_it_in_the_file(
    store: WrittenClaims, folder: Path, fake_pool: StorePool
) -> None:
    ClaimFile(folder, "test-1", clock=lambda: 1.0).open(REFERENCE, "earlier", "syn_0", 25)
    await store.restore()
    held = await store.find_claim(REFERENCE)
    assert held is not None
    assert (held.by, held.sync_id) == ("earlier", "syn_0")
    assert held.age_s < 5
    assert not await store.release_claim(REFERENCE, "another")
    assert ClaimFile(folder, "test-1").claims
    assert await store.release_claim(REFERENCE, "earlier")
    assert ClaimFile(folder, "test-1").claims == {}


async def test_a_recent_purchase_is_known_to_the_next_process(store: WrittenClaims, folder: Path) -> None:
    ClaimFile(folder, "test-1").close(REFERENCE, persona_id="per_1")
    await store.restore()
    found = await store.find_record(REFERENCE)
    assert found is not None
    assert (found.persona_id, found.sent) == ("per_1", None)


async def test_a_claim_that_cannot_be_written_permits_nothing(
    store: WrittenClaims, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResumableStop) as stopped:
        await store.claim(LEASE, REFERENCE, "try")
    assert stopped.value.code == "state_unwritable"
    assert "No space left" in str(stopped.value)
    assert await store.find_claim(REFERENCE) is None
    await store.record(REFERENCE, RECORD, OUTCOME)  # what was bought all the same is recorded in memory
    assert await store.find_record(REFERENCE) is not None


async def test_many_threads_change_the_file_one_after_the_other(folder: Path) -> None:
    files = [ClaimFile(folder, "test-1") for _ in range(4)]
    await asyncio.gather(
        *(asyncio.to_thread(files[n % 4].open, str(n), "try", "syn_1", 25.0) for n in range(20)),
    )
    assert len(ClaimFile(folder, "test-1").claims) == 20
