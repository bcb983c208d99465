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


def test_the_socket_of_a_long_path_is_in_a_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    long, other = (StateDirectory(tmp_path / ("d" * 150) / name) for name in ("one", "two"))
    if len(os.fsencode(tmp_path)) <= LONGEST_SOCKET_PATH // 2:
        assert long.socket.is_relative_to(tmp_path)
    assert len(os.fsencode(long.socket)) <= LONGEST_SOCKET_PATH
    assert long.socket != other.socket
    assert StateDirectory(Path("/short")).socket == Path("/short/server.sock")


def test_a_directory_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.name == "data":
            raise PermissionError(13, "Permission denied")
        return ask(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(StateUnusable, match="Permission denied"):
        _ = StateDirectory(tmp_path).has_state
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 12345)
    with pytest.raises(StateUnusable, match="belongs to"):
        _ = StateDirectory(tmp_path).has_state


@pytest.mark.parametrize("name", ["file", "file/state"])
def test_a_file_is_not_treated_as_an_empty_state_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    directory = StateDirectory(tmp_path / name)
    with pytest.raises(StateUnusable, match="Not a directory") as caught:
        _ = directory.has_state
    assert caught.value.hint.startswith("Remove the file")
    with pytest.raises(StateUnusable, match="Not a directory"):
        directory.prepare()


def test_a_parent_that_cannot_be_written_is_found_without_making_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = StateDirectory(tmp_path / "a" / "b")
    directory.check_can_be_made()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(StateUnusable, match="Permission denied"):
        directory.check_can_be_made()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("chosen", [None, Path("~/state")])
def test_a_user_without_a_home_directory_learns_what_to_set(
    monkeypatch: pytest.MonkeyPatch, chosen: Path | None
) -> None:
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987_654_321)
    with pytest.raises(StateUnusable, match="no home directory") as caught:
        state_directory(chosen)
    assert "SEGMENT_PERSONAS_HOME" in caught.value.hint
