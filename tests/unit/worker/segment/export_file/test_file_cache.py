"""Files that are kept open: a page that no job waited for is not lost, and nothing is left open."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from io import FileIO
from pathlib import Path

import pytest

from tests.support.scenarios import checks
from worker.errors import ApiError, ResumableStop
from worker.segment.export_file import FileSource, OpenFiles, file_cache, open_any_file
from worker.segment.export_file.ndjson_file import FilePage, FilePosition, NdjsonFile

ROWS = b"".join(json.dumps({"id": f"use_{i}", "traits": {"ltv": i}}).encode() + b"\n" for i in range(20_000))


class Counting:
    """Opens any file, and counts."""

    def __init__(self) -> None:
        self.opened: list[FileIO] = []

    def __call__(self, file: str) -> FileIO:
        self.opened.append(open_any_file(file))
        return self.opened[-1]

    @property
    def still_open(self) -> int:
        return sum(not raw.closed for raw in self.opened)


@pytest.fixture
def opener() -> Counting:
    return Counting()


@pytest.fixture
async def files(opener: Counting) -> AsyncIterator[OpenFiles]:
    files = OpenFiles(opener)
    yield files
    files.close()
    assert opener.still_open == 0


@pytest.fixture
def path(tmp_path: Path) -> str:
    found = tmp_path / "profiles.ndjson"
    found.write_bytes(ROWS)
    return str(found)


async def until(holds: Callable[[], bool]) -> None:
    async def held() -> bool:
        return holds()

    await checks.until(held)


async def read_all(source: FileSource, cursor: str = "") -> int:
    """How many profiles follow."""
    following: str | None = cursor
    n = 0
    while following is not None:
        page = await source.fetch_page(following, 1)
        n, following = n + len(page.profiles), page.next_cursor
    return n


async def test_a_file_is_opened_once_for_all_its_pages_and_closed_at_its_end(
    files: OpenFiles, opener: Counting, path: str
) -> None:
    assert await read_all(FileSource(files, path)) == 20_000
    assert (len(opener.opened), opener.still_open) == (1, 0)


async def test_the_next_fetch_job_uses_the_open_file_an_older_place_reopens_it(
    files: OpenFiles, opener: Counting, tmp_path: Path
) -> None:
    path = tmp_path / "profiles.ndjson.gz"
    path.write_bytes(gzip.compress(ROWS))
    cursors = [""]
    for _ in range(4):
        following = (await FileSource(files, str(path)).fetch_page(cursors[-1], 1)).next_cursor
        assert following
        cursors.append(following)
    assert len(opener.opened) == 1
    rest = await read_all(FileSource(files, str(path)), cursors[2])
    assert len(opener.opened) == 2
    assert await read_all(FileSource(files, str(path)), cursors[4]) < rest
    assert len(opener.opened) == 2


async def test_a_worker_that_has_the_file_open_at_an_earlier_place_reads_on(
    files: OpenFiles, opener: Counting, path: str
) -> None:
    first = (await FileSource(files, path).fetch_page("", 1)).next_cursor
    assert first
    offset = ROWS.index(b"\n", 600_000) + 1
    further = FilePosition(offset, FilePosition.decode(first).version)
    n = await read_all(FileSource(files, path), further.encode())
    assert n == ROWS[offset:].count(b"\n")
    assert len(opener.opened) == 1


async def test_two_syncs_of_one_file_do_not_disturb_each_other(files: OpenFiles, path: str) -> None:
    assert await asyncio.gather(*(read_all(FileSource(files, path)) for _ in range(3))) == [20_000] * 3


async def test_what_a_cancelled_reader_waited_for_is_the_next_ones(files: OpenFiles, opener: Counting) -> None:
    reader, writer = os.pipe()
    source = FileSource(files, f"/dev/fd/{reader}")
    waiting = asyncio.create_task(source.fetch_page("", 1))
    await until(lambda: bool(opener.opened))
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    os.write(writer, ROWS[: ROWS.index(b"\n") + 1])
    page = await source.fetch_page("", 1)
    assert page.profiles == [{"id": "use_0", "traits": {"ltv": 0}}]
    assert page.next_cursor
    os.close(writer)
    assert (await source.fetch_page(page.next_cursor, 2)).next_cursor is None
    os.close(reader)


async def test_a_file_that_is_closed_while_it_is_read_closes_when_the_page_is_there(
    opener: Counting, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    original = NdjsonFile.page

    def slow(content: NdjsonFile, place: FilePosition | None) -> FilePage:
        begun.set()
        go_on.wait(30)
        return original(content, place)

    monkeypatch.setattr(NdjsonFile, "page", slow)
    files = OpenFiles(opener)
    waiting = asyncio.create_task(files.read(path, None))
    await until(begun.is_set)
    waiting.cancel()
    await asyncio.wait({waiting})
    files.close()
    assert opener.still_open == 1
    go_on.set()
    await until(lambda: not opener.still_open)


async def test_an_idle_file_is_closed_and_a_later_fetch_job_opens_it_again(
    files: OpenFiles, opener: Counting, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "IDLE_S", 0.01)
    page = await FileSource(files, path).fetch_page("", 1)
    await until(lambda: not opener.still_open)
    assert page.next_cursor
    assert await read_all(FileSource(files, path), page.next_cursor) == 20_000 - len(page.profiles)


async def test_a_file_whose_reader_was_cancelled_is_closed_too_and_a_pipe_is_kept(
    files: OpenFiles, opener: Counting, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_cache, "IDLE_S", 0.01)
    reader, writer = os.pipe()
    os.write(writer, ROWS[: ROWS.index(b"\n") + 1])
    pipe = f"/dev/fd/{reader}"
    first = await files.read(pipe, None)
    waiting = asyncio.create_task(files.read(path, None))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    await until(lambda: len(opener.opened) == 2 and opener.still_open == 1)
    os.close(writer)
    assert (await files.read(pipe, first.following)).following is None
    os.close(reader)


async def test_a_failure_closes_the_file_and_is_raised_once(files: OpenFiles, opener: Counting, path: str) -> None:
    page = await FileSource(files, path).fetch_page("", 1)
    os.truncate(path, 10)
    assert page.next_cursor
    for _ in range(2):
        with pytest.raises(ApiError, match="has changed"):
            await FileSource(files, path).fetch_page(page.next_cursor, 2)
        assert opener.still_open == 0


async def test_a_file_without_a_profile_fails_in_a_way_that_can_be_mended(files: OpenFiles, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_bytes(b"\n")
    with pytest.raises(ResumableStop, match="it contains no profile") as raised:
        await FileSource(files, str(path)).fetch_page("", 1)
    assert raised.value.code == "file_empty"
