"""`init`: it asks for what a first sync needs, checks it against both APIs, and writes `.env` and a clusters file."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from producer.cli import app
from producer.cli.commands.init import set_up
from producer.cli.commands.init.questions import Questions
from producer.cli.commands.init.set_up import prepare
from producer.cli.environment.env_text import parse_env
from producer.cli.terminal import Screen, stderr
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from tests.support.processes.command_line import Terminal, shell
from worker.errors import ApiError, ConfigurationError, Retry
from worker.settings import settings as settings_module

TOKEN, KEY = "token-of-segment", "mvra_test_of_mavera"
WRONG = "wrong-secret-of-the-user"
SPACES = {"spa_1": SpaceSpec(300), "saas": SpaceSpec(300, "saas"), "empty": SpaceSpec(0)}
OPTIONS = SandboxOptions(SPACES, segment_token=TOKEN, mavera_key=KEY)


class Script(Questions):
    """Answers one question after the other; `prompts` are those that were asked. "^D": the end of the input."""

    def __init__(self, *answers: str) -> None:
        self.prompts: list[str] = []
        self._answers = list(answers)

    def ask(self, prompt: str, *, secret: bool = False) -> str:
        self.prompts.append(prompt)
        assert self._answers, f"one question too many: {prompt}"
        answer = self._answers.pop(0)
        assert secret is prompt.startswith(("Segment access token", "Mavera API key"))
        if answer == "^D":
            raise EOFError
        return answer


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox in a separate thread: the command uses the event loops of this thread."""
    with serving(OPTIONS) as box:
        yield box


@contextlib.contextmanager
def serving(options: SandboxOptions) -> Iterator[Sandbox]:
    started: queue.Queue[Sandbox] = queue.Queue()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with Sandbox(options) as box:
            started.put(box)
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        yield started.get()
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(autouse=True)
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> dict[str, str]:
    """An empty working directory, and an environment that knows where the sandbox is and nothing else."""
    environ = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "no_proxy", "NO_PROXY"}}
    if "sandbox" in request.fixturenames:
        box = request.getfixturevalue("sandbox")
        environ |= {"SEGMENT_BASE_URL": box.segment_url, "MAVERA_BASE_URL": box.mavera_url}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", environ)
    return environ


def init(questions: Questions | None, path: str = ".env") -> tuple[int, str]:
    """Runs the command without its terminal; returns the exit code and what it shows."""
    shown, environ = io.StringIO(), dict(os.environ)
    try:
        code = prepare(Screen(shown), Path(path), questions)
    finally:
        os.environ.clear()
        os.environ.update(environ)
    assert not any(secret in shown.getvalue() for secret in (TOKEN, KEY, WRONG))
    return code, shown.getvalue()


def written(path: str = ".env") -> dict[str, str | None]:
    return parse_env(Path(path).read_text())


def test_what_is_refused_is_asked_for_again_until_it_is_right(sandbox: Sandbox) -> None:
    script = Script(WRONG, "spa_1", TOKEN, WRONG, KEY)
    code, shown = init(script)
    assert code == 0
    assert [prompt.split(" [")[0].rstrip(": ") for prompt in script.prompts] == [
        *("Segment access token", "Segment space id", "Segment access token"),
        *("Mavera API key", "Mavera API key"),
    ]
    assert "401 The access token is missing or not valid" in shown
    assert "Unify settings > API access" in shown
    assert "Settings > Developer > API Keys" in shown
    assert Path(".env").stat().st_mode & 0o777 == 0o600
    assert written() == {
        "SEGMENT_TOKEN": TOKEN,
        "SEGMENT_SPACE_ID": "spa_1",
        "MAVERA_API_KEY": KEY,
        "SEGMENT_BASE_URL": sandbox.segment_url,
        "MAVERA_BASE_URL": sandbox.mavera_url,
    }
    assert not sandbox.personas
    assert re.findall(r"^  \S*segment-personas (\w+)", shown, re.M) == ["preview", "sync"]


def test_of_a_wrong_space_both_the_token_and_the_space_are_asked_again(sandbox: Sandbox) -> None:
    code, shown = init(Script(TOKEN, "spa_none", "", "spa_1", KEY))
    assert code == 0
    assert "Space spa_none was not found" in shown
    assert written()["SEGMENT_SPACE_ID"] == "spa_1"


def test_what_cannot_be_a_value_is_asked_again_before_any_request(sandbox: Sandbox) -> None:
    script = Script(TOKEN, "not a space", TOKEN, "spa_1", KEY)
    code, shown = init(script)
    assert code == 0
    assert "this is the access token" in shown
    assert "at most 128 ASCII letters" in shown
    assert sandbox.journal.arrived["segment.page"] == 3  # the check, and the sample of two pages


def test_values_of_the_environment_are_checked_and_written_without_a_question(
    sandbox: Sandbox, env: dict[str, str]
) -> None:
    env |= {"SEGMENT_TOKEN": TOKEN, "SEGMENT_PERSONAS_SEGMENT_SPACE_ID": "spa_1", "MAVERA_API_KEY": KEY}
    code, shown = init(None)
    assert code == 0
    assert written()["SEGMENT_SPACE_ID"] == "spa_1"
    assert "unset" not in shown


def test_a_secret_in_a_separate_file_stays_there(sandbox: Sandbox, env: dict[str, str]) -> None:
    Path("token").write_text(TOKEN)
    env |= {"SEGMENT_TOKEN_FILE": "token", "SEGMENT_SPACE_ID": "spa_1"}
    assert (init(Script(KEY)))[0] == 0
    assert written()["SEGMENT_TOKEN_FILE"] == str(Path("token").absolute())
    assert "SEGMENT_TOKEN" not in written()
    Path("token").write_text(WRONG)
    with pytest.raises(ConfigurationError, match="it comes from"):
        init(Script(""))


def test_what_was_typed_against_the_environment_needs_it_unset(sandbox: Sandbox, env: dict[str, str]) -> None:
    env |= {"SEGMENT_TOKEN": WRONG, "SEGMENT_SPACE_ID": "spa_1", "MAVERA_API_KEY": KEY}
    code, shown = init(Script(TOKEN))
    assert code == 0
    assert "  unset SEGMENT_TOKEN\n" in shown
    assert written()["SEGMENT_TOKEN"] == TOKEN


EXISTING = f"""\
# of this project
DATABASE_URL=postgres://localhost  # of the web application
SEGMENT_TOKEN={WRONG}
export SEGMENT_SPACE_ID='spa_1'
"""


def test_an_existing_file_keeps_its_other_lines_and_its_good_values(sandbox: Sandbox) -> None:
    Path(".env").write_text(EXISTING)
    code, shown = init(Script("", "", TOKEN, KEY, "y"))
    assert code == 0
    assert "spa_1" in shown
    assert Path(".env").read_text().startswith(EXISTING.replace(WRONG, TOKEN))
    assert Path(".env").stat().st_mode & 0o777 == 0o600
    before = Path(".env").read_text()
    code, shown = init(Script("", "", ""))
    assert code == 0
    assert "it was not changed" in shown
    assert Path(".env").read_text() == before


def test_a_value_of_the_file_changes_only_after_a_yes(sandbox: Sandbox) -> None:
    Path(".env").write_text(EXISTING)
    script = Script(TOKEN, "", KEY, "")
    code, shown = init(script)
    assert code == 3
    assert script.prompts[-1] == ".env has a different SEGMENT_TOKEN. Replace it? [y/N] "
    assert "Nothing was written" in shown
    assert Path(".env").read_text() == EXISTING


def test_with_yes_the_environment_replaces_the_value_of_the_file(sandbox: Sandbox, env: dict[str, str]) -> None:
    Path(".env").write_text(EXISTING)
    env |= {"SEGMENT_TOKEN": TOKEN, "MAVERA_API_KEY": KEY}
    assert (init(None))[0] == 0
    assert Path(".env").read_text().startswith(EXISTING.replace(WRONG, TOKEN))


def test_a_malformed_value_is_named_and_asked_for_and_others_stop_the_command(
    sandbox: Sandbox, env: dict[str, str]
) -> None:
    Path(".env").write_text(f"SEGMENT_TOKEN='two {WRONG}'\nSEGMENT_SPACE_ID=spa_1\nMAVERA_API_KEY={KEY}\n")
    code, shown = init(Script(TOKEN, "", "", "y"))
    assert code == 0
    assert "SEGMENT_TOKEN: must be the bare token" in shown
    env["MAVERA_RATE"] = "fast"
    with pytest.raises(ConfigurationError, match="MAVERA_RATE"):
        init(Script())


def test_default_traits_that_are_missing_make_a_clusters_file(sandbox: Sandbox, env: dict[str, str]) -> None:
    Path("clusters.toml").write_text("# mine\n")
    env |= {"SEGMENT_TOKEN": TOKEN, "MAVERA_API_KEY": KEY, "SEGMENT_SPACE_ID": "saas"}
    code, shown = init(None)
    assert code == 0
    assert "100% of 300 profiles have none of ltv/lifetime_value" in shown
    assert Path("clusters.toml").read_text() == "# mine\n"
    assert "[[clusters]]" in Path("clusters-2.toml").read_text()
    assert written()["CLUSTERS_FILE"] == "clusters-2.toml"
    assert "clusters show" in shown
    init(None)
    assert not Path("clusters-3.toml").exists()


def test_an_empty_space_gets_no_clusters_file(sandbox: Sandbox, env: dict[str, str]) -> None:
    env |= {"SEGMENT_TOKEN": TOKEN, "MAVERA_API_KEY": KEY, "SEGMENT_SPACE_ID": "empty"}
    code, shown = init(None)
    assert code == 0
    assert "space empty is empty" in shown
    assert "CLUSTERS_FILE" not in written()


def test_a_file_elsewhere_names_the_clusters_file_by_its_whole_path(
    sandbox: Sandbox, env: dict[str, str], tmp_path: Path
) -> None:
    env |= {"SEGMENT_TOKEN": TOKEN, "MAVERA_API_KEY": KEY, "SEGMENT_SPACE_ID": "saas"}
    Path("keys").mkdir()
    assert (init(None, "keys/saas.env"))[0] == 0
    assert written("keys/saas.env")["CLUSTERS_FILE"] == str(tmp_path / "clusters.toml")


def test_a_refused_token_of_the_default_region_may_be_one_of_the_eu(
    sandbox: Sandbox, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del env["SEGMENT_BASE_URL"]
    with serving(SandboxOptions(SPACES, segment_token="of-the-us")) as us:
        for name, hosts in (("_INLINE_URLS", "segment_url"), ("_PROFILE_API_URLS", "profile_api_url")):
            monkeypatch.setattr(settings_module, name, {"us": getattr(us, hosts), "eu": getattr(sandbox, hosts)})
        script = Script(TOKEN, "spa_1", "y", KEY)
        assert (init(script))[0] == 0
    assert "in the EU" in script.prompts[2]
    assert written()["SEGMENT_REGION"] == "eu"


def test_an_api_that_is_down_is_asked_again_on_enter_with_the_same_values(
    sandbox: Sandbox, env: dict[str, str]
) -> None:
    sandbox.add_fault(Fault(api="mavera", kind="status", status=503))

    class Repairing(Script):
        def ask(self, prompt: str, *, secret: bool = False) -> str:
            if "Press Enter" in prompt:
                sandbox.clear_faults()
            return super().ask(prompt, secret=secret)

    script = Repairing(TOKEN, "spa_1", KEY, "")
    assert (init(script))[0] == 0
    assert "Press Enter" in script.prompts[-1]


def test_with_yes_a_refusal_is_wrong_usage_and_an_outage_is_try_later(sandbox: Sandbox, env: dict[str, str]) -> None:
    env |= {"SEGMENT_TOKEN": WRONG, "MAVERA_API_KEY": KEY, "SEGMENT_SPACE_ID": "spa_1"}
    with pytest.raises(ApiError, match="401") as refused:
        init(None)
    assert not isinstance(refused.value, Retry)
    env["SEGMENT_TOKEN"] = TOKEN
    sandbox.add_fault(Fault(api="segment", kind="status", status=503))
    with pytest.raises(Retry):
        init(None)
    assert not Path(".env").exists()


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["init", "--yes"], ["SEGMENT_TOKEN", "MAVERA_API_KEY are not set"]),
        (["init"], ["not a terminal", "SEGMENT_TOKEN, SEGMENT_SPACE_ID, MAVERA_API_KEY", "--yes"]),
        (["--no-env-file", "init", "--yes"], ["reading is turned off"]),
    ],
)
def test_without_a_terminal_a_sentence_says_what_is_missing(
    arguments: Sequence[str],
    fragments: Sequence[str],
    env: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    env["SEGMENT_SPACE_ID"] = "spa_1"
    monkeypatch.setattr(sys, "argv", ["segment-personas", *arguments])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert all(fragment in shown for fragment in fragments)
    assert not Path(".env").exists()


def test_no_answer_is_exit_code_3_and_writes_nothing(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = stderr()
    screen.is_tty = True
    monkeypatch.setattr(set_up, "stderr", lambda: screen)
    monkeypatch.setattr(set_up, "Questions", lambda _: Script(TOKEN, "^D"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert set_up.init(yes=False) == 3
    assert "No answer. Nothing was written." in capsys.readouterr().err
    assert not Path(".env").exists()


@pytest.mark.parametrize(
    ("state", "answers", "fragment", "ignored"),
    [
        ("exposed", [""], "", [".env"]),
        ("exposed", ["n"], "", []),
        ("exposed", None, "  echo .env >> .gitignore", []),
        ("tracked", [], "  git rm --cached .env", []),
        ("ignored", [], "", [".env*"]),
    ],
)
def test_git_is_kept_from_committing_the_file(
    state: str, answers: list[str] | None, fragment: str, ignored: list[str], sandbox: Sandbox, env: dict[str, str]
) -> None:
    subprocess.run(["git", "init", "--quiet"], check=True)
    if state == "tracked":
        Path(".env").write_text("OTHER=1\n")
        subprocess.run(["git", "add", ".env"], check=True)
    if state == "ignored":
        Path(".gitignore").write_text(".env*\n")
    env |= {"SEGMENT_TOKEN": TOKEN, "MAVERA_API_KEY": KEY, "SEGMENT_SPACE_ID": "spa_1"}
    code, shown = init(None if answers is None else Script(*answers))
    assert code == 0
    assert fragment in shown
    assert ([*Path(".gitignore").read_text().split()] if Path(".gitignore").exists() else []) == ignored


@pytest.fixture
def terminal_env(sandbox: Sandbox, env: dict[str, str]) -> dict[str, str]:
    return {**env, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}


async def test_at_a_terminal_no_secret_is_shown_and_the_printed_commands_work(
    sandbox: Sandbox, terminal_env: dict[str, str]
) -> None:
    terminal = await Terminal.start("init", env=terminal_env, columns=200)
    for prompt, answer in (
        ("Segment access token: ", WRONG),
        ("Segment space id: ", "spa_1"),
        ("Segment access token [Enter keeps it]: ", TOKEN),
        ("Mavera API key: ", KEY),
    ):
        await terminal.until(prompt)
        terminal.type(f"{answer}\n")
    done = await terminal.end()
    assert done.code == 0, done.out
    assert not any(secret in done.out for secret in (TOKEN, KEY, WRONG))
    printed = re.findall(r"^  (\S*segment-personas .*?)\r?$", done.out, re.M)
    ended = await shell(f"$P {printed[0].partition(' ')[2]}", {"PATH": os.environ["PATH"]})
    assert ended.code == 0, ended.err
    assert "create 3 personas" in ended.out + ended.err


async def test_ctrl_c_at_a_secret_gives_the_terminal_back_and_writes_nothing(
    terminal_env: dict[str, str], tmp_path: Path
) -> None:
    terminal = await Terminal.start("init", env=terminal_env)
    await terminal.until("Segment access token: ")
    assert not terminal.echoes
    terminal.interrupt()
    done = await terminal.end()
    assert done.code == 130
    assert terminal.echoes
    assert "Nothing was written" in done.out
    assert os.listdir(tmp_path) == []
