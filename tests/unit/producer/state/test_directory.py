"""The state directory: where it is, and one sentence with a hint for each reason why it cannot be used."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from producer.state.directory import FORMAT, LONGEST_SOCKET_PATH, StateDirectory, StateUnusable, state_directory


def test_the_default_follows_the_platform_and_a_chosen_one_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_directory().path == tmp_path / "segment-personas"
    assert not state_directory().path.exists()
    monkeypatch.chdir(tmp_path)
    assert state_directory(Path("here")).path == tmp_path / "here"


def test_it_is_made_for_its_owner_alone_also_if_it_was_open_to_others(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "a" / "b")
    directory.prepare()
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    directory.path.chmod(0o755)
    directory.prepare()
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    assert not directory.has_state


def test_a_directory_of_another_user_is_refused_with_both_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = StateDirectory(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 12345)
    with pytest.raises(StateUnusable, match="belongs to") as caught:
        directory.prepare()
    assert "SEGMENT_PERSONAS_HOME" in caught.value.hint


@pytest.mark.parametrize("text", [str(FORMAT + 1), "a format of the future"])
def test_a_directory_of_a_newer_version_is_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "format").write_text(text)
    with pytest.raises(StateUnusable, match="newer version"):
        StateDirectory(tmp_path).prepare()
    assert [path.name for path in tmp_path.iterdir()] == ["format"]


def test_a_path_through_a_file_is_refused_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="Not a directory") as caught:
        StateDirectory(tmp_path / "file" / "state").prepare()
    assert "SEGMENT_PERSONAS_HOME" in caught.value.hint


def test_the_socket_of_a_long_path_is_in_a_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long, other = (StateDirectory(tmp_path / ("d" * 150) / name) for name in ("one", "two"))
    if len(os.fsencode(tmp_path)) <= LONGEST_SOCKET_PATH // 2:
        assert long.socket.is_relative_to(tmp_path)
    assert len(os.fsencode(long.socket)) <= LONGEST_SOCKET_PATH
    assert long.socket != other.socket
    assert StateDirectory(Path("/short")).socket == Path("/short/server.sock")


def test_a_directory_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    with pytest.raises(StateUnusable, match="Permission denied"):
        _ = StateDirectory(tmp_path).has_state
