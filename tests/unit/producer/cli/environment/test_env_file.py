"""Which file a command reads, what it takes from it, what it says of it, and how it is written."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import pytest

import producer.cli
from producer.cli import app
from producer.cli.commands.doctor.findings import judge_env_file
from producer.cli.environment import env_file
from producer.cli.environment.command_settings import command_settings, found_settings, misspelt_settings
from producer.cli.environment.env_file import Edit, check_writable, load_env_file, plan_edit, write_private
from producer.cli.terminal import stderr
from worker.errors import ConfigurationError

SECRET = "a-token-of-segment"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {"PATH": os.environ["PATH"], "NO_COLOR": "1"})
    return tmp_path


def write(text: str, name: str = ".env", mode: int = 0o600) -> Path:
    path = Path(name)
    path.write_text(text)
    path.chmod(mode)
    return path


def problem() -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_env_file(os.environ)
    return f"{caught.value} {caught.value.hint}"


def test_settings_come_from_the_file_of_the_working_directory() -> None:
    write(f"SEGMENT_TOKEN={SECRET}\nMAVERA_RATE=240\nDATABASE_URL=x\n")
    settings = command_settings(stderr())
    assert settings.segment_token
    assert settings.segment_token.get_secret_value() == SECRET
    assert settings.mavera_rate == 240
    assert "DATABASE_URL" not in os.environ


@pytest.mark.parametrize("variable", ["MAVERA_RATE", "SEGMENT_PERSONAS_MAVERA_RATE", "mavera_rate"])
@pytest.mark.parametrize("in_file", ["MAVERA_RATE", "SEGMENT_PERSONAS_MAVERA_RATE"])
def test_the_environment_wins_over_the_file_whatever_the_variable(variable: str, in_file: str) -> None:
    write(f"{in_file}=240\n")
    os.environ[variable] = "600"
    assert command_settings(stderr()).mavera_rate == 600


def test_a_secret_file_of_the_environment_wins_over_a_secret_in_the_file() -> None:
    write("SEGMENT_TOKEN=other\n")
    Path("token").write_text(SECRET)
    os.environ["SEGMENT_TOKEN_FILE"] = "token"
    token = command_settings(stderr()).segment_token
    assert token
    assert token.get_secret_value() == SECRET


def test_a_variable_that_is_set_to_nothing_unsets_the_one_of_the_file() -> None:
    write("REDIS_URL=redis://localhost\n")
    os.environ["REDIS_URL"] = ""
    assert command_settings(stderr()).redis_url is None


def test_a_file_is_read_by_name_or_not_at_all() -> None:
    write("MAVERA_RATE=240\n")
    write("MAVERA_RATE=600\n", "other.env")
    for name, rate in (("", 60), ("other.env", 600)):
        os.environ.pop("MAVERA_RATE", None)
        os.environ["SEGMENT_PERSONAS_ENV_FILE"] = name
        assert command_settings(stderr()).mavera_rate == rate


@pytest.mark.parametrize(
    ("options", "rate"),
    [((), 240), (("--no-env-file",), 60), (("--env-file", "other.env"), 600), (("--env-file=other.env",), 600)],
)
def test_options_before_the_command_choose_the_file(
    options: tuple[str, ...], rate: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("MAVERA_RATE=240\nCLUSTERS_FILE=none.toml\n")
    write("MAVERA_RATE=600\nCLUSTERS_FILE=none.toml\n", "other.env")
    monkeypatch.setattr(sys, "argv", ["segment-personas", *options, "clusters", "show"])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == (0 if rate == 60 else 2)
    assert os.environ.get("MAVERA_RATE", "60") == str(rate)


def test_help_reads_no_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write("MAVERA_RATE=240\n")
    for words in (["--help"], ["sync", "--help"], ["--env-file", "none", "sync", "--help"]):
        monkeypatch.setattr(sys, "argv", ["segment-personas", *words])
        with pytest.raises(SystemExit) as end:
            app.main()
        assert end.value.code == 0
    assert "MAVERA_RATE" not in os.environ


def test_made_up_profiles_need_no_file_but_a_named_one_is_read() -> None:
    write("CLUSTERS_FILE=mine.toml\n")
    assert command_settings(stderr(), uses_sandbox=True).clusters_file is None
    os.environ["SEGMENT_PERSONAS_ENV_FILE"] = ".env"
    assert command_settings(stderr(), uses_sandbox=True).clusters_file == "mine.toml"


def test_a_directory_named_like_the_file_is_not_the_file(directory: Path) -> None:
    (directory / ".env").mkdir()
    assert load_env_file(os.environ).path is None
    os.environ["SEGMENT_PERSONAS_ENV_FILE"] = ".env"
    assert ".env cannot be read" in problem()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"A=1\n\nSEGMENT_TOKEN='{SECRET}\n", ".env, line 3:"),
        (f"source {SECRET}\n", ".env, line 1:"),
        ("A=1\nexport SEGMENT_TOKEN\n", ".env, line 2: SEGMENT_TOKEN has no ="),
        (f"SEGMENT_TOKEN={SECRET}\0\n", ".env, line 1: the value of SEGMENT_TOKEN"),
    ],
)
def test_a_malformed_line_is_a_sentence_with_file_and_line_without_its_value(text: str, words: str) -> None:
    write(text)
    found = problem()
    assert words in found
    assert SECRET not in found


def test_what_cannot_be_read_is_a_sentence_that_says_how_to_do_without(directory: Path) -> None:
    os.environ["SEGMENT_PERSONAS_ENV_FILE"] = "none.env"
    assert "none.env cannot be read: No such file" in problem()
    (directory / "none.env").write_bytes(b"A=\xff")
    assert "not UTF-8" in problem()
    (directory / "none.env").write_bytes(b"#" * (env_file.MAX_BYTES + 1))
    assert "--no-env-file" in problem()


def test_the_file_of_another_user_is_read_only_if_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("MAVERA_RATE=240\n")
    if os.getuid() == 0:
        os.chown(path, 1234, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    assert "belongs to another user" in problem()
    os.environ["SEGMENT_PERSONAS_ENV_FILE"] = ".env"
    assert load_env_file(os.environ).taken == ("MAVERA_RATE",)


@pytest.mark.parametrize(
    ("text", "mode", "warned"),
    [
        (f"SEGMENT_TOKEN={SECRET}\n", 0o644, True),
        (f"SEGMENT_PERSONAS_SEGMENT_TOKEN={SECRET}\n", 0o640, True),
        (f"SEGMENT_TOKEN={SECRET}\n", 0o600, False),
        ("MAVERA_RATE=60\n", 0o644, False),
        ("SEGMENT_TOKEN_FILE=/run/secrets/token\n", 0o644, False),
    ],
)
def test_secrets_that_others_may_read_are_one_warning(text: str, mode: int, warned: bool) -> None:
    write(text, mode=mode)
    found = load_env_file(os.environ)
    assert ("  chmod 600 .env" in found.warning) is warned
    assert [one.id for one in judge_env_file(found)] == ["settings.env_file_mode"] * warned + ["settings.env_file"]
    assert SECRET not in found.warning


def test_only_names_close_to_a_setting_are_reported() -> None:
    write("SEGMENT_TOKN=x\nSEGMENT_WRITE_KEY=x\nDATABASE_URL=x\nSEGMENT_SPACE_ID=spa_1\n")
    (sentence,) = misspelt_settings(load_env_file(os.environ))
    assert sentence.startswith("SEGMENT_TOKN is not a setting")
    assert sentence.endswith("did you mean SEGMENT_TOKEN? (in .env)")


def test_doctor_says_what_the_file_sets_and_what_the_environment_overrides() -> None:
    write(f"SEGMENT_TOKEN={SECRET}\nMAVERA_RATE=240\nOTHER=1\n")
    os.environ["MAVERA_RATE"] = "60"
    (finding,) = judge_env_file(load_env_file(os.environ))
    assert finding.verdict == "ok"
    assert ".env sets SEGMENT_TOKEN; the environment sets MAVERA_RATE" in finding.found
    assert "OTHER" not in finding.found


def test_doctor_reports_a_file_that_cannot_be_read_and_checks_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("what is this\n")
    assert ".env, line 1" in str(found_settings().file_error)
    monkeypatch.setattr(sys, "argv", ["segment-personas", "doctor", "--json"])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 1
    found = {finding["id"]: finding["verdict"] for finding in json.loads(capsys.readouterr().out)["findings"]}
    assert found["settings.env_file"] == "fail"
    assert {"segment.access", "mavera.access"} <= found.keys()


def test_a_written_file_is_private_and_replaces_the_old_one_as_a_whole(directory: Path) -> None:
    path = write("A=1\n", mode=0o644)
    (directory / "link").symlink_to(path)
    for target in (path, directory / "link", directory / "new.env"):
        write_private(target, "A=2\n")
        assert target.read_text() == "A=2\n"
        assert target.stat().st_mode & 0o777 == 0o600
    assert (directory / "link").is_symlink()
    assert sorted(one.name for one in directory.iterdir()) == [".env", "link", "new.env"]


def test_an_interrupted_write_leaves_the_old_file_and_no_other(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("A=1\n")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    for target in (path, directory / "new.env"):
        with pytest.raises(KeyboardInterrupt):
            write_private(target, "A=2\n")
    assert path.read_text() == "A=1\n"
    assert [one.name for one in directory.iterdir()] == [".env"]


def test_a_file_that_cannot_be_written_is_a_sentence(directory: Path) -> None:
    for write_or_check in (check_writable, lambda path: write_private(path, "A=1\n")):
        with pytest.raises(ConfigurationError, match="cannot be written"):
            write_or_check(directory / "none" / ".env")
    os.mkfifo(directory / "pipe")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        check_writable(directory / "pipe")


def test_a_setting_keeps_the_variable_by_which_the_file_sets_it() -> None:
    path = write("SEGMENT_PERSONAS_SEGMENT_TOKEN=old\nMAVERA_API_KEY='key'\nSEGMENT_REGION=\n")
    values = {"SEGMENT_TOKEN": "new", "MAVERA_API_KEY": "key", "SEGMENT_REGION": "eu", "SEGMENT_SPACE_ID": "spa_1"}
    edit = plan_edit(path, values)
    assert edit.after == (
        "SEGMENT_PERSONAS_SEGMENT_TOKEN=new\nMAVERA_API_KEY='key'\nSEGMENT_REGION=eu\nSEGMENT_SPACE_ID=spa_1\n"
    )
    assert edit.replaced == ("SEGMENT_PERSONAS_SEGMENT_TOKEN",)
    assert path.read_text() == edit.before


@pytest.mark.parametrize(
    ("in_file", "new"), [("SEGMENT_TOKEN_FILE", "SEGMENT_TOKEN"), ("SEGMENT_TOKEN", "SEGMENT_TOKEN_FILE")]
)
def test_a_secret_and_a_file_for_it_are_never_both_written(in_file: str, new: str) -> None:
    path = write(f"{in_file}=old\n")
    edit = plan_edit(path, {new: "new"})
    assert (edit.after, edit.left) == (edit.before, (new,))


def test_a_file_that_does_not_exist_is_planned_from_nothing() -> None:
    assert plan_edit(Path(".env"), {"A": "b c"}) == Edit(None, "A='b c'\n", (), ())


def test_every_command_reads_its_settings_in_one_place() -> None:
    folder = Path(producer.cli.__file__).parent
    readers = {
        str(path.relative_to(folder))
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and re.search(r"\b(load|read)_settings$", ast.unparse(node.func))
    }
    assert readers == {"environment/command_settings.py"}
