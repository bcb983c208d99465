"""Which files a request means, and which of them may be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.errors import ApiError, ResumableStop
from worker.segment.file_shards import FileAccess
from worker.segment.file_shards.listing import file_access
from worker.segment.file_shards.listing.shard import Shard, compression_of_name, digest_of, kind_of_name
from worker.segment.file_shards.listing.shard_listing import list_shards


def write(folder: Path, *names: str, content: str = "x") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def names(access: FileAccess, file: str) -> list[str]:
    return [shard.name for shard in list_shards(access, file)]


def code(access: FileAccess, file: str) -> str:
    with pytest.raises(ApiError) as raised:
        list_shards(access, file)
    return raised.value.code


def test_a_name_a_directory_and_a_pattern_mean_sorted_shards(tmp_path: Path) -> None:
    write(tmp_path, "e/2.csv", "e/1.csv.gz", "e/day=1/3.csv", "e/_SUCCESS", "e/.4.csv", "e/_tmp/5.csv", "odd[1].csv")
    write(tmp_path, "e/empty.csv", content="")
    access = FileAccess(tmp_path)
    assert names(access, "e") == ["e/1.csv.gz", "e/2.csv", "e/day=1/3.csv"]
    assert names(access, "e/*.csv") == ["e/2.csv"]
    assert names(access, "e/**/*.csv") == ["e/2.csv", "e/day=1/3.csv"]
    assert names(access, "odd[1].csv") == ["odd[1].csv"]
    assert names(FileAccess(None, anywhere=True), str(tmp_path / "e" / "?.csv")) == [str(tmp_path / "e" / "2.csv")]


def test_what_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "root"
    write(tmp_path, "secret.csv", "root/mixed/a.csv", "root/mixed/b.parquet", "root/two/a", "root/two/b")
    write(root, "empty/a.csv", content="")
    (root / "link.csv").symlink_to(tmp_path / "secret.csv")
    access = FileAccess(root)
    assert code(access, "nothing.csv") == code(access, "nothing*.csv") == code(access, "mixed/*.tsv") == "file_missing"
    assert code(access, "../secret.csv") == code(access, "link.csv") == code(access, "l*.csv") == "file_forbidden"
    assert code(access, str(tmp_path / "secret.csv")) == code(FileAccess(None), "a.csv") == "file_forbidden"
    (root / "bare").mkdir()
    with pytest.raises(ResumableStop, match="the directory contains no files") as caught:
        list_shards(access, "bare")
    assert caught.value.code == "file_missing"
    assert code(access, "empty") == "file_empty"
    assert code(access, "mixed") == "file_format"
    monkeypatch.setattr(file_access, "MAX_SHARDS", 1)
    assert code(access, "two") == "too_many_shards"


def test_a_digest_differs_for_another_list_and_another_version() -> None:
    one, two = Shard("a", 1, "5"), Shard("b", 2, "6")
    assert Shard.decode(one.encode()) == one
    found = {digest_of(shards) for shards in ([one, two], [two, one], [one], [Shard("a", 1, "7"), two])}
    assert len(found) == 4


def test_names_show_format_and_compression() -> None:
    for name, expected in (
        ("a.parquet", ("parquet", None)),
        ("A.CSV.GZ", ("csv", "gzip")),
        ("a.ndjson.zst", ("ndjson", "zstd")),
        ("part-0001", (None, None)),
    ):
        assert (kind_of_name(name), compression_of_name(name)) == expected
