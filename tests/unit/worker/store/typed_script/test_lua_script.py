"""A typed signature becomes the keys, the arguments and the header of a script, and its answer becomes a type."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from tests.support.syncs.syncs import PAGE, Syncs
from worker.errors import LeaseLost, StoreUnusable
from worker.models.sync import SyncState
from worker.store import StorePool
from worker.store.keys import HashKey, SortedSetKey, StringKey
from worker.store.typed_script import lua_script as module
from worker.store.typed_script.lua_script import Signature, Unchecked, lua_script


@dataclass(frozen=True)
class Place:
    """An argument with fields, of which one is not sent."""

    name: str
    number: int
    hidden: tuple[int, ...] = field(default=(), metadata={"sent": False})


@dataclass(frozen=True)
class Trip:
    """An argument with a nested one."""

    start: Place
    ready: bool


class Word(StrEnum):
    """Answers without parts."""

    DONE = "done"
    GONE = "gone"


@dataclass(frozen=True)
class Row:
    """A part of an answer."""

    name: str
    number: int


@dataclass(frozen=True)
class Report:
    """An answer with parts of every kind."""

    word: ClassVar[str] = "report"
    number: int
    flag: bool
    text: str
    raw: bytes
    fields: dict[str, str]
    rows: tuple[Row, ...]
    row: Row


@lua_script("test/all_kinds")
async def all_kinds(
    pool: StorePool,
    *,
    sync: HashKey,
    others: tuple[Unchecked[StringKey], ...],
    number: int,
    share: float,
    flag: bool,
    text: str,
    raw: bytes,
    state: SyncState,
    kind: Literal["walk", "finalize"],
    maybe: int | None,
    words: str | None,
    trip: Trip,
    place: Place | None,
    rows: tuple[Place, ...],
) -> Report | Word | None:
    """Takes every kind of key and argument."""


VALUES: dict[str, Any] = {
    "sync": HashKey("s"),
    "others": (StringKey("a"), StringKey("b")),
    "number": 2**53 - 1,
    "share": 0.1 + 0.2,
    "flag": True,
    "text": "ä",
    "raw": b"\xff",
    "state": SyncState.FETCHING,
    "kind": "walk",
    "maybe": None,
    "words": None,
    "trip": Trip(Place("Rome", 3), ready=False),
    "place": None,
    "rows": (Place("Oslo", 1), Place("Bonn", 2)),
}


async def run(pool: StorePool, monkeypatch: pytest.MonkeyPatch, body: str, **values: Any) -> Any:
    """The answer of `all_kinds` with this Lua text."""
    original = module.read_lua
    monkeypatch.setattr(module, "read_lua", lambda name: body if name == "test/all_kinds" else original(name))
    module.script_text.cache_clear()
    try:
        return await all_kinds(pool, **{**VALUES, **values})
    finally:
        module.script_text.cache_clear()


def test_values_are_encoded_in_one_way() -> None:
    names, arguments = all_kinds.signature.encode(VALUES)
    assert names == ["s", "a", "b"]
    assert arguments[:9] == [2**53 - 1, "0.30000000000000004", 1, "ä", b"\xff", "fetching", "walk", "", ""]
    assert arguments[9:] == ["Rome", 3, 0, 0, "", "", "Oslo", 1, "Bonn", 2]


@pytest.mark.parametrize(
    "condition",
    [
        "int(number) == '9007199254740991' and number == 2 ^ 53 - 1",
        "share > 0.3 and share < 0.31",
        "flag == true and trip.ready == false",
        "#text == 2 and #raw == 1",
        "state == 'fetching' and kind == 'walk'",
        "maybe == nil and words == ''",
        "trip.start.name == 'Rome' and trip.start.number == 3 and trip.start.hidden == nil",
        "place == nil",
        "#rows == 2 and rows[2].name == 'Bonn' and rows[1].number == 1",
        "#others == 2 and others[2] == 'b'",
        "#KEYS == 3",
    ],
)
async def test_lua_reads_what_python_wrote(pool: StorePool, monkeypatch: pytest.MonkeyPatch, condition: str) -> None:
    body = f"if {condition} then return {{ 'done' }} end\nreturn {{ 'gone' }}"
    assert await run(pool, monkeypatch, body) is Word.DONE


async def test_an_optional_table_and_empty_rows_reach_lua(pool: StorePool, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "if place.number == 7 and maybe == 0 and #rows == 0 then return { 'done' } end\nreturn { 'gone' }"
    assert await run(pool, monkeypatch, body, place=Place("Linz", 7), maybe=0, rows=()) is Word.DONE


async def test_an_answer_becomes_the_type_of_its_word(pool: StorePool, monkeypatch: pytest.MonkeyPatch) -> None:
    body = "return { 'report', 7, 1, 'ä', '\\255', { 'a', 'b' }, { { 'x', 1 }, { 'y', '2' } }, { 'z', 3 } }"
    answer = await run(pool, monkeypatch, body)
    assert answer == Report(7, True, "ä", b"\xff", {"a": "b"}, (Row("x", 1), Row("y", 2)), Row("z", 3))


@pytest.mark.parametrize("word", ["ok", "applied"])
async def test_a_done_answer_is_none(pool: StorePool, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    assert await run(pool, monkeypatch, f"return {{ '{word}' }}") is None


async def test_an_answer_that_no_signature_names_is_an_error(pool: StorePool, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"'odd'.*report, done, gone"):
        await run(pool, monkeypatch, "return { 'odd' }")


@pytest.mark.parametrize(
    ("answer", "fragment"), [("'stale', 'failed', '3'", "now failed, epoch 3"), ("'conflict', 'Why.'", "Why.")]
)
async def test_a_job_that_may_not_write_gets_lease_lost(
    pool: StorePool, monkeypatch: pytest.MonkeyPatch, answer: str, fragment: str
) -> None:
    with pytest.raises(LeaseLost, match=fragment):
        await run(pool, monkeypatch, f"return {{ {answer} }}")


async def test_the_header_checks_each_key_before_the_script(pool: StorePool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.set("s", "text")
    with pytest.raises(StoreUnusable, match="s holds a string, not a hash"):
        await run(pool, monkeypatch, "redis.call('SET', 'written', '1')\nreturn { 'done' }")
    assert not await pool.exists("written")


async def test_an_unchecked_key_may_hold_anything(pool: StorePool, monkeypatch: pytest.MonkeyPatch) -> None:
    await pool.sadd("a", "member")  # type: ignore[misc]
    assert await run(pool, monkeypatch, "return { 'done' }") is Word.DONE


def test_only_the_last_key_or_argument_may_be_of_any_number() -> None:
    async def keys_first(pool: StorePool, *, several: tuple[HashKey, ...], one: SortedSetKey) -> None: ...
    async def rows_first(pool: StorePool, *, several: tuple[Place, ...], one: int) -> None: ...

    for function in (keys_first, rows_first):
        function.__annotations__ |= {"several": tuple[HashKey, ...] if function is keys_first else tuple[Place, ...]}
        with pytest.raises(TypeError, match="only the last"):
            Signature.of(function)


@pytest.mark.parametrize("annotation", [list[int], dict[str, str], int | str, object])
def test_an_argument_without_a_lua_counterpart_is_refused(annotation: Any) -> None:
    async def face(pool: StorePool, *, value: int) -> None: ...

    face.__annotations__["value"] = annotation
    with pytest.raises(TypeError, match="a script takes no"):
        Signature.of(face)


async def test_a_script_that_redis_does_not_know_is_sent_again(pool: StorePool) -> None:
    syncs = Syncs(pool)
    await syncs.create()
    await pool.script_flush()
    assert (await syncs.begin()).lease.epoch == 1


async def test_a_commit_out_of_order_names_both_commits(pool: StorePool) -> None:
    syncs = Syncs(pool)
    lease = await syncs.lease(SyncState.FETCHING)
    before = await syncs.dump()
    with pytest.raises(LeaseLost) as caught:
        await syncs.jobs.commit(lease, PAGE.__class__(seq=7), "token")
    assert "commit 8 was refused: the sync holds commit 1" in str(caught.value)
    assert await syncs.dump() == before


CALLS = """
from worker.models.sync import SyncState
from worker.store import StorePool, keys
from worker.store.scripts import sync, queue
from worker.store.progress.sync_progress import LeaseGrant

async def calls(pool: StorePool, lease: LeaseGrant) -> None:
    await sync.heartbeat(pool, sync=keys.sync("s"), due=keys.DUE, lease=lease, silent_ms=1, note="")
    await sync.heartbeat(pool, sync=keys.DUE, due=keys.DUE, lease=lease, silent_ms=1, note="")  # a key of another type
    await sync.heartbeat(pool, sync="s", due=keys.DUE, lease=lease, silent_ms=1, note="")  # text that is not a key
    await sync.heartbeat(pool, sync=keys.sync("s"), due=keys.DUE, lease=lease, silent_ms="1", note="")  # no number
    await sync.heartbeat(pool, sync=keys.sync("s"), due=keys.DUE, lease=lease, note="")  # one argument too few
    await sync.heartbeat(pool, sync=keys.sync("s"), due=keys.DUE, lease=lease, silent_ms=1, note="", n=1)  # too many
    done = await sync.cancel(pool, sync=keys.sync("s"), queue=keys.QUEUE, due=keys.DUE, id="s", retention_ms=1)
    done.slots  # not a field of the answer
"""


def test_mypy_finds_wrong_types_in_the_call_of_a_script(tmp_path: Path) -> None:
    calls = tmp_path / "calls.py"
    calls.write_text(CALLS)
    root = Path(module.__file__).parents[3]
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--no-incremental", str(calls)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    wrong = [number for number, line in enumerate(CALLS.splitlines(), 1) if "  # " in line]
    lines = {int(line.split(":")[1]) for line in found.stdout.splitlines() if ": error:" in line}
    assert lines == set(wrong), found.stdout
