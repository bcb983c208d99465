"""Which files may be read: a writer to Redis cannot make a worker read any file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from worker.errors import ResumableStop
from worker.segment.export_file import Opener, folder_opener, open_any_file


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with a file, beside one with a secret."""
    for name in ("home", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "profiles.ndjson").write_text("{}")
    (tmp_path / "elsewhere" / "secret").write_text("secret")
    (tmp_path / "home-too").mkdir()
    (tmp_path / "home-too" / "secret").write_text("secret")
    return tmp_path / "home"


def code(opener: Opener, file: object) -> str:
    with pytest.raises(ResumableStop) as raised:
        opener(str(file))
    assert str(file) in str(raised.value)
    return raised.value.code


def content(opener: Opener, file: object) -> bytes:
    with opener(str(file)) as opened:
        return opened.read()


def test_a_file_in_the_directory_is_read_by_its_relative_or_whole_name(home: Path) -> None:
    assert content(folder_opener(home), "profiles.ndjson") == b"{}"
    assert content(folder_opener(home), home / "profiles.ndjson") == b"{}"
    (home / "a link").symlink_to("profiles.ndjson")
    assert content(folder_opener(home), "a link") == b"{}"


def test_the_directory_itself_may_be_a_link(home: Path) -> None:
    link = home.parent / "link"
    link.symlink_to(home)
    assert content(folder_opener(link), "profiles.ndjson") == b"{}"
    assert content(folder_opener(link), link / "profiles.ndjson") == b"{}"


@pytest.mark.parametrize(
    "file", ["../elsewhere/secret", "/etc/passwd", "../home-too/secret", "link/secret", "dangling"]
)
def test_nothing_else_is_read_or_mentioned(home: Path, file: str) -> None:
    (home / "link").symlink_to("../elsewhere")
    (home / "dangling").symlink_to("../elsewhere/nothing")
    assert code(folder_opener(home), file) == "file_forbidden"


def test_without_a_directory_no_file_is_read(home: Path) -> None:
    assert code(folder_opener(None), home / "profiles.ndjson") == "file_forbidden"


def test_standard_input_is_for_the_process_that_was_given_it_only(home: Path) -> None:
    assert code(folder_opener(home), "-") == "file_missing"
    with open_any_file("-") as opened:
        assert opened.fileno() == 0
    os.fstat(0)  # still open


def test_only_files_are_opened_and_a_missing_one_is_named(home: Path) -> None:
    os.mkfifo(home / "pipe")
    (home / "circle").symlink_to("circle")
    assert code(folder_opener(home), "pipe") == "file_unreadable"
    assert code(folder_opener(home), ".") == "file_unreadable"
    assert code(open_any_file, home) == "file_unreadable"
    assert code(folder_opener(home), "missing") == "file_missing"
    assert code(open_any_file, home / "circle") == "file_unreadable"
    assert code(folder_opener(home), "x" * 1000) == "file_unreadable"
