"""The contents of a file: pages that continue exactly, compressed or not, and never a mixture of two versions."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.errors import ApiError, Permanent
from worker.segment.export_file import folder_opener, line_reader, ndjson_file, open_any_file
from worker.segment.export_file.ndjson_file import FilePosition, NdjsonFile

Write = Callable[[Path, bytes], None]

ROWS = b"".join(json.dumps({"id": f"use_{i}", "traits": {"ltv": i}}).encode() + b"\n" for i in range(400))


def plain(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def zipped(path: Path, data: bytes) -> None:
    """In two members, as tools write that add to what is there."""
    path.write_bytes(gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]))


@pytest.fixture(autouse=True)
def _small_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reader, "READ_BYTES", 1000)
    monkeypatch.setattr(ndjson_file, "READ_BYTES", 1000)


@pytest.fixture(params=[plain, zipped])
def write(request: pytest.FixtureRequest) -> Write:
    chosen: Write = request.param
    return chosen


def ltvs(entries: list[object]) -> list[int]:
    return [entry["traits"]["ltv"] for entry in entries if isinstance(entry, dict)]


def read_from(path: Path, place: FilePosition | None) -> tuple[list[int], list[FilePosition]]:
    """All that follows, and the places on the way."""
    opened, found, places = NdjsonFile(str(path), open_any_file, place), [], []
    try:
        while True:
            page = opened.page(place)
            found += ltvs(page.entries)
            if (place := page.following) is None:
                return found, places
            places.append(place)
    finally:
        opened.close()


def failure(act: Callable[[], object]) -> ApiError:
    with pytest.raises(ApiError) as raised:
        act()
    return raised.value


def test_a_file_continues_from_every_place(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "profiles"
    write(path, ROWS)
    everything, places = read_from(path, None)
    assert everything == list(range(400))
    assert len(places) > 10
    for place in places:
        rest, _ = read_from(path, FilePosition.decode(place.encode()))
        assert everything[-len(rest) :] == rest
        assert rest[0] == ROWS[: place.offset].count(b"\n")


def test_a_place_further_on_is_reached_without_opening_again(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "profiles"
    write(path, ROWS)
    _, places = read_from(path, None)
    opened = NdjsonFile(str(path), open_any_file, None)
    opened.page(None)
    page = opened.page(places[5])
    opened.close()
    assert ltvs(page.entries)[0] == ROWS[: places[5].offset].count(b"\n")


def test_a_page_without_a_profile_is_read_over(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "profiles"
    merged = b'{"id": "use_x", "merged_to": "use_0", "traits": {"ltv": 7}}\n'
    write(path, merged * 500 + b"\n" * 5000 + ROWS)
    opened = NdjsonFile(str(path), open_any_file, None)
    assert ltvs(opened.page(None).entries)[0] == 0
    opened.close()


@pytest.mark.parametrize(
    ("data", "merged"), [(b"", 0), (b"\n\n  \n", 0), (b'{"merged_to": "x"}\n', 1), (b'{"merged_to": "x"}\n' * 999, 999)]
)
def test_a_file_without_a_profile_is_one_empty_page(tmp_path: Path, write: Write, data: bytes, merged: int) -> None:
    path = tmp_path / "profiles"
    write(path, data)
    opened = NdjsonFile(str(path), open_any_file, None)
    assert opened.page(None) == ndjson_file.FilePage([], None, merged)
    opened.close()


def test_a_file_that_changes_between_two_pages_fails_and_only_a_restart_helps(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "profiles"
    write(path, ROWS)
    opened = NdjsonFile(str(path), open_any_file, None)
    place = opened.page(None).following
    with path.open("ab") as appended:
        appended.write(b"{}\n")
    error = failure(lambda: opened.page(place))
    opened.close()
    assert (error.code, error.resumable) == ("file_changed", False)
    assert "start" in error.hint
    again = failure(lambda: NdjsonFile(str(path), open_any_file, place))
    assert again.code == "file_changed"


def test_a_file_of_the_same_size_written_later_is_another(tmp_path: Path) -> None:
    path = tmp_path / "profiles"
    path.write_bytes(ROWS)
    _, places = read_from(path, None)
    os.utime(path, ns=(1, 1))
    assert failure(lambda: NdjsonFile(str(path), open_any_file, places[0])).code == "file_changed"


@pytest.mark.parametrize("cut", [1, 5, 9, 200])
def test_a_compressed_file_that_ends_too_early_fails(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "profiles.ndjson.gz"
    path.write_bytes(gzip.compress(ROWS)[:-cut])
    error = failure(lambda: read_from(path, None))
    assert (error.code, type(error)) == ("file_corrupt", Permanent)


@pytest.mark.parametrize("spoil", [lambda data: ROWS, lambda data: data[:40] + b"?" + data[41:], lambda data: b""])
def test_what_is_named_gz_and_is_not_fails_with_a_clear_code(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "profiles.ndjson.gz"
    path.write_bytes(spoil(gzip.compress(ROWS)))
    error = failure(lambda: read_from(path, None))
    assert error.code == "file_corrupt"
    assert "its gzip data is damaged or ends too early" in str(error)


def test_a_disk_that_fails_is_reported_with_the_systems_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "profiles"
    path.write_bytes(ROWS)
    opened = NdjsonFile(str(path), open_any_file, None)

    def fail(_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(line_reader.LineReader, "read", fail)
    error = failure(lambda: opened.page(None))
    opened.close()
    assert (error.code, error.resumable) == ("file_unreadable", True)
    assert "Input/output error" in str(error)


def test_a_pipe_is_read_to_its_end_and_cannot_be_gone_back_to(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, ROWS[:2000])
    os.close(writer)
    name = f"/dev/fd/{reader}"
    opened = NdjsonFile(name, open_any_file, None)
    first = opened.page(None)
    assert first.following
    assert opened.is_pipe
    opened.close()
    error = failure(lambda: NdjsonFile(name, open_any_file, first.following))
    os.close(reader)
    assert (error.code, error.resumable) == ("file_gone", False)


def test_a_file_that_cannot_be_read_from_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "profiles.gz"
    path.write_bytes(ROWS)
    before = set(os.listdir("/dev/fd"))
    failure(lambda: NdjsonFile("profiles.gz", folder_opener(tmp_path), None))
    assert set(os.listdir("/dev/fd")) == before
