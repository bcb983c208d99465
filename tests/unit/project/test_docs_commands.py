"""Commands, options, exit codes and error codes in README and docs/ are those of the program."""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from producer.cli import exit_codes
from producer.cli.app import app
from tests.support.project.docs import PAGES, code_spans, page, shell_commands, table
from tests.support.project.error_codes import RESUMABLE, codes_of, command_error_codes, sync_error_codes
from worker.documents.error_document import error_code
from worker.errors import ConfigurationError, StoreUnavailable

ROOT_COMMAND: Any = typer.main.get_command(app)
OF_OTHER_PROGRAMS = {
    "--maxmemory-policy",  # redis-server
    "--default_lua_flags",  # Dragonfly
    "--check",
    "--tests",
    "--build-arg",  # docker
    "--only",  # tests.bench
}
SHELL_COMMANDS = sorted({(name, *words) for name, text in PAGES.items() for words in shell_commands(text)})
CHANGES_IN_OTHER_VERSIONS = "CHANGELOG.md"


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that these words call, and its own arguments."""
    command, context = ROOT_COMMAND, ROOT_COMMAND.make_context("segment-personas", [], resilient_parsing=True)
    while hasattr(command, "commands") and words:
        name, found, words = command.resolve_command(context, words)
        context = found.make_context(name, [], parent=context, resilient_parsing=True)
        command = found
    return command, words


def leaves(command: Any, *path: str) -> dict[str, Any]:
    """Every command by the words that call it."""
    if not hasattr(command, "commands"):
        return {" ".join(path): command}
    return {words: found for name, sub in command.commands.items() for words, found in leaves(sub, *path, name).items()}


LEAVES = leaves(ROOT_COMMAND)
OPTIONS = {
    option
    for command in (ROOT_COMMAND, *LEAVES.values())
    for parameter in command.params
    for option in (*parameter.opts, *parameter.secondary_opts)
} | {"--help", "--install-completion", "--show-completion"}


def test_the_docs_show_commands() -> None:
    assert len(SHELL_COMMANDS) > 20


@pytest.mark.parametrize("line", SHELL_COMMANDS, ids=" ".join)
def test_a_command_of_a_page_is_one_that_the_program_accepts(line: tuple[str, ...]) -> None:
    words = list(line[1:])
    if words[:1] == ["--help"]:
        return
    command, arguments = leaf(words)
    command.make_context("segment-personas", arguments)


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {CHANGES_IN_OTHER_VERSIONS}))
def test_an_option_in_the_text_of_a_page_exists(name: str) -> None:
    spans = [span for span in code_spans(PAGES[name]) if not span.startswith(("make ", "git ", "pip ", "ruff "))]
    named = {option for span in spans for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)}
    assert named <= OPTIONS | OF_OTHER_PROGRAMS


def test_the_table_of_commands_lists_every_command_once() -> None:
    listed = [row[0] for row in table(page("command-line"), "| command | does |")]
    called = [" ".join(word for word in cell.strip("`").split() if word.islower()) for cell in listed]
    assert sorted(called) == sorted(LEAVES)


def test_the_options_of_sync_are_all_listed() -> None:
    rows = table(page("command-line"), "| to decide | use |")
    listed = {option for row in rows for option in re.findall(r"--[a-z-]+", row[1])}
    of_sync = {option for parameter in LEAVES["sync"].params for option in parameter.opts if option.startswith("--")}
    assert listed == of_sync - {"--help"}


def test_the_table_of_exit_codes_is_complete() -> None:
    listed = [int(row[0]) for row in table(page("command-line"), "| code | meaning |")]
    assert listed == sorted(
        value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)
    )


def test_every_error_code_of_a_sync_has_a_row() -> None:
    listed = [row[0].strip("`") for row in table(page("error-codes"), "| code | resumable | meaning, and what to do |")]
    assert listed == sorted(sync_error_codes())


def test_the_table_says_which_codes_can_be_resumed() -> None:
    rows = {
        row[0].strip("`"): row[1]
        for row in table(page("error-codes"), "| code | resumable | meaning, and what to do |")
    }
    permanent, resumable = codes_of("Permanent"), codes_of(*RESUMABLE)
    assert {code for code, told in rows.items() if told == "no"} == permanent - resumable
    assert {code for code, told in rows.items() if told == "depends"} >= permanent & resumable


def test_every_error_code_of_a_command_has_a_row() -> None:
    rows = table(page("error-codes"), "| code | exit code | meaning |")
    assert [row[0].strip("`") for row in rows] == sorted(command_error_codes() - sync_error_codes())


@pytest.mark.parametrize(
    "error", [StoreUnavailable("away"), ConfigurationError("malformed")], ids=["away", "malformed"]
)
def test_the_exit_code_of_a_command_error_is_the_listed_one(error: Exception) -> None:
    rows = {row[0].strip("`"): row[1] for row in table(page("error-codes"), "| code | exit code | meaning |")}
    assert rows[error_code(error)] == str(exit_codes.exit_code_of(error))
