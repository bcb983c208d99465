"""Printed command lines: the user's own arguments with the needed change, quoted for the shell; and exit codes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from producer.api.responses import next_request
from producer.cli import command_lines
from producer.cli.command_lines import command, program, run_again, typed_arguments, with_program_name
from producer.cli.exit_codes import exit_code_of
from producer.cli.syncs.next_steps import after_failure, after_plan
from producer.errors import SyncConflict, SyncNotFound
from tests.support.syncs.snapshots import START, fetching
from worker.documents.error_document import error_code, error_document
from worker.errors import ConfigurationError, PersonasError, Retry, StoreUnavailable
from worker.models.outcome import SyncFailure
from worker.models.plan import Plan, PlannedPersona
from worker.models.request import SyncRequest
from worker.models.sync import Sync, SyncState


@pytest.mark.parametrize(
    ("typed", "changes", "expected"),
    [
        ("preview spa --clusters x.toml", {"name": "sync"}, "sync spa --clusters x.toml"),
        ("preview --exit-code spa", {"name": "sync", "accept": True}, "sync spa --accept"),
        ("sync --max-credits 600 spa", {"max_credits": 900}, "sync spa --max-credits 900"),
        ("sync --max-credits=600 spa", {"max_credits": 900}, "sync spa --max-credits 900"),
        ("sync spa --accept", {"accept": True}, "sync spa --accept"),
        ("sync --json -- spa", {"allow_partial": True}, "sync --json --allow-partial -- spa"),
        ("preview spa --json", {}, "preview spa --json"),
    ],
)
def test_a_command_is_run_again_with_the_needed_change(typed: str, changes: dict[str, object], expected: str) -> None:
    again = run_again(typed.split(), **changes)  # type: ignore[arg-type]
    assert shlex.split(again)[1:] == expected.split()


def test_arguments_are_quoted_for_the_shell() -> None:
    words = ["sync", "spa", "--clusters", "my file's rules.toml"]
    assert shlex.split(command(*words))[1:] == words


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "segment-personas"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == str(script)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == "segment-personas"


@pytest.mark.parametrize("options", [["--env-file", "my keys.env"], ["--env-file=a.env"], ["--no-env-file"], []])
def test_a_printed_command_reads_its_settings_where_this_one_did(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["pytest", *options, "preview", "--json"])
    assert typed_arguments() == ["preview", "--json"]
    expected = [*options, "sync", "--json"]
    assert shlex.split(run_again(typed_arguments(), name="sync"))[1:] == expected
    assert with_program_name("Use `segment-personas list`.") == f"Use `{program()} list`."


def failed(
    code: str, *, resumable: bool = True, needs: int | None = None, limit: int | None = None, own: int | None = None
) -> Sync:
    request = SyncRequest(space_id="spa_1", max_credits=own)
    error = SyncFailure(code, "A sentence.", resumable=resumable, needed_credits=needs, credit_limit=limit)
    return fetching(request=request, state=SyncState.FAILED, finished_at=START + 2, error=error)


@pytest.mark.parametrize(
    ("sync", "options"),
    [
        (failed("segment_unauthorized"), []),
        (failed("guard_profiles"), ["--accept"]),
        (failed("guard_of_tomorrow"), ["--accept"]),
        (failed("cursor_expired", resumable=False), ["--restart"]),
        (failed("table_shape", resumable=False), ["--restart"]),
        (failed("over_budget", needs=1200, limit=600, own=600), ["--max-credits", "1200"]),
        (failed("over_budget", own=600), ["--max-credits", "1200"]),
    ],
)
def test_each_failure_has_a_command_that_does_not_fail_in_the_same_way(sync: Sync, options: list[str]) -> None:
    (line,) = after_failure(sync, None).commands
    assert shlex.split(line)[1:] == ["resume", "syn_1", *options]


def test_a_failed_sync_of_standard_input_needs_its_command_again_with_the_input() -> None:
    sync = failed("file_empty")
    request = SyncRequest(space_id="spa_1", file="-")
    sync = Sync(**{**vars(sync), "request": request, "failed_in": SyncState.FETCHING})
    (line,) = after_failure(sync, None, ["preview", "spa_1", "--from-file", "-"]).commands
    assert shlex.split(line)[1:] == ["preview", "spa_1", "--from-file", "-"]
    assert after_failure(sync, None).commands == ()  # as shown by `status`
    sync = Sync(**{**vars(sync), "failed_in": SyncState.FINALIZING})
    (line,) = after_failure(sync, None, ["sync"]).commands
    assert shlex.split(line)[1:] == ["resume", "syn_1"]


def test_a_budget_of_the_workers_is_named_for_no_option_can_raise_it() -> None:
    sync = failed("over_budget", needs=900, limit=600)
    step = after_failure(sync, None)
    assert "MAX_CREDITS is 600" in step.sentence
    assert shlex.split(step.commands[0])[1:] == ["resume", "syn_1"]


def test_a_budget_of_the_workers_is_named_in_a_command_without_state_too() -> None:
    step = after_failure(failed("over_budget", needs=900, limit=600), ["sync", "spa"])
    assert "MAX_CREDITS is 600" in step.sentence
    assert shlex.split(step.commands[0])[1:] == ["sync", "spa"]


@pytest.mark.parametrize("code", ["table_shape", "no_ids"])
def test_columns_that_do_not_fit_need_a_new_sync_unless_the_table_has_changed(code: str) -> None:
    sync = failed(code, resumable=False)
    step = after_failure(sync, None)
    assert step.sentence.startswith("Other options need a new sync. If the space has changed")
    assert "Other options need a new sync. If the space has changed: POST" in next_request(sync)


def test_the_next_request_after_a_budget_raises_what_the_request_can_raise() -> None:
    own = failed("over_budget", needs=900, limit=600, own=600)
    assert next_request(own).endswith('/resume with {"max_credits": 900}.')
    assert next_request(failed("over_budget", needs=900, limit=600)).endswith("/resume.")


def test_a_plan_over_its_budget_is_applied_with_a_higher_one() -> None:
    persona = PlannedPersona(
        cluster="growth", action="create", reason="", persona_id=None, credits=300, payload={}, current=None
    )
    request = SyncRequest(space_id="spa_1", plan_only=True, max_credits=100)
    sync = fetching(request=request, state=SyncState.COMPLETED, complete=True)
    sync = Sync(**{**vars(sync), "plan": Plan(personas=(persona,), max_credits=100, alarms=("odd",))})
    (line,) = after_plan(sync, None).commands
    assert shlex.split(line)[1:] == ["apply", "syn_1", "--accept", "--max-credits", "300"]
    (line,) = after_plan(sync, ["preview", "spa", "--max-credits", "100"]).commands
    assert shlex.split(line)[1:] == ["sync", "spa", "--max-credits", "300", "--accept"]
    step = after_plan(Sync(**{**vars(sync), "complete": False}), None)
    assert "Only a part of the space was read" in step.sentence
    assert "--allow-partial" in step.commands[0]


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (ConfigurationError("x"), "configuration", 2),
        (StoreUnavailable("Redis does not answer: refused"), "redis_unavailable", 4),
        (StoreUnavailable("Something else answers.", lasting=True), "redis_unavailable", 2),
        (SyncNotFound("x"), "sync_not_found", 2),
        (SyncConflict("x", code="sync_running", temporary=True), "sync_running", 4),
        (SyncConflict("x", code="already_ended"), "already_ended", 2),
        (Retry("segment_unavailable", "x"), "segment_unavailable", 4),
        (PersonasError("x"), "error", 2),
    ],
)
def test_an_error_that_may_be_over_later_has_exit_code_4(error: PersonasError, code: str, exit_code: int) -> None:
    assert (error_code(error), exit_code_of(error)) == (code, exit_code)
    assert error_document(error) == {"error": {"code": code, "message": str(error)}}
    assert error_document(error, "do this")["error"]["hint"] == "do this"  # type: ignore[index]


def test_a_hint_names_the_program_as_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_lines, "program", lambda: "./bin/segment-personas")
    hint = "Run `segment-personas personas adopt`, or put the reference of segment-personas at its end."
    assert command_lines.with_program_name(hint) == hint.replace("`seg", "`./bin/seg")
