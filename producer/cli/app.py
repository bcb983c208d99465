"""The command line: its commands by group, and how errors become exit codes.

Imports only typer; what a command needs is imported when it runs, so that `--help` answers at once. The commands and
their options are declared in `declarations`.
"""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from producer.cli.declarations import (
    cluster_commands,
    persona_commands,
    schedule_commands,
    server_commands,
    setup_commands,
    space_commands,
    state_commands,
    sync_commands,
)
from producer.cli.declarations.options import CONTROL, SET_UP, EnvFile, NoEnvFile, flag
from producer.cli.declarations.usage_errors import Group
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would print local variables, and with them tokens and profiles
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Turns a Segment space into Mavera personas: one for each cluster of its profiles.",
    epilog=EXIT_CODES,
)
for group in (sync_commands, server_commands, setup_commands):
    app.add_typer(group.app)
app.add_typer(schedule_commands.app, name="schedule", rich_help_panel=CONTROL, epilog=EXIT_CODES)
app.add_typer(persona_commands.app, name="personas", rich_help_panel=SET_UP, epilog=EXIT_CODES)
app.add_typer(space_commands.app, name="spaces", rich_help_panel=SET_UP, epilog=EXIT_CODES)
app.add_typer(state_commands.app, name="state", rich_help_panel=SET_UP, epilog=EXIT_CODES)
app.add_typer(cluster_commands.app, name="clusters", rich_help_panel=SET_UP, epilog=EXIT_CODES)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"segment-personas {version('segment-personas')}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, flag("--version", panel=None, help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    env_file: EnvFile = None,
    no_env_file: NoEnvFile = False,
) -> None:
    """(Shown as the help of the program: see `app`.)"""
    if env_file is not None or no_env_file:
        import os

        from worker.environment import ENV_FILE_VARIABLE

        os.environ[ENV_FILE_VARIABLE] = "" if no_env_file else str(env_file)


def main() -> NoReturn:
    """Runs the command line and exits; errors of the user are one sentence on stderr and exit code 2 or 4.

    With `--json` an error is one JSON document on stdout, too.
    """
    json = "--json" in sys.argv
    try:
        _check_arguments()
        code = app(prog_name="segment-personas", standalone_mode=not json)
    except Exception as error:  # noqa: BLE001 - raised again if it is not an error of the user
        sys.exit(_fail(error, json=json))
    sys.exit(code or 0)


def _fail(error: Exception, *, json: bool) -> int:
    """Shows an error of the user, and returns its exit code. Any other error is raised again."""
    from producer.cli.exit_codes import WRONG_USE, exit_code_of
    from producer.cli.terminal import stderr, stdout
    from worker.documents.error_document import error_document
    from worker.errors import PersonasError

    document: dict[str, object] = {}
    if isinstance(error, PersonasError):
        from producer.cli.command_lines import command, with_program_name

        hint, words = with_program_name(error.hint), getattr(error, "next_command", ())
        following = command(*words) if words else ""
        code, text = exit_code_of(error), "\n".join(filter(None, (str(error), hint, following and f"  {following}")))
        document = error_document(error, hint=" ".join(filter(None, (hint, following))))
    elif (usage := getattr(error, "format_message", None)) is not None:  # an unknown option, a malformed number
        code, text = WRONG_USE, usage()
        document = {"error": {"code": "usage", "message": text}}
    elif json:
        stdout().write_json({"error": {"code": "internal_error", "message": type(error).__name__}})
        raise error
    else:
        raise error
    if json:
        stdout().write_json(document)
    stderr().print_text(text, "red")
    return code


def _check_arguments() -> None:
    """Raises ConfigurationError if an argument is not text: no request, key or file name could hold it."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            from worker.errors import ConfigurationError

            raise ConfigurationError(f"{argument!r}: this argument is not valid in this terminal's encoding.") from None
