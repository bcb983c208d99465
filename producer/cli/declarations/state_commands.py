"""The `state` commands: their names, options and help texts."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.declarations.options import Json, exit_with, flag
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer(
    no_args_is_help=True, help="Show, move or remove the stored state of personas: records, claims and history."
)

File = Annotated[str, typer.Argument(metavar="FILE", help="State file.")]
OfDirectory = Annotated[
    bool, flag("--directory", panel=None, help="Use the state directory, even if REDIS_URL is set.")
]
Yes = Annotated[bool, flag("--yes", "-y", panel=None, help="Do not ask.")]


@app.command("where", epilog=EXIT_CODES)
def state_where(json: Json = False) -> None:
    """Show where the state is kept, by which server, and its size. Starts no server."""
    from producer.cli.commands import state
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: state.where(settings, err, json=json)))


@app.command("export", epilog=EXIT_CODES)
def state_export(
    file: File,
    directory: OfDirectory = False,
    force: Annotated[bool, flag("--force", panel=None, help="Overwrite the file if it exists.")] = False,
) -> None:
    """Write the state of the Redis of REDIS_URL, or of the state directory, into a file."""
    from producer.cli.commands import state
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: state.export(settings, err, file, directory=directory, force=force)))


@app.command("import", epilog=EXIT_CODES)
def state_import(
    file: File,
    directory: OfDirectory = False,
    replace: Annotated[
        bool, flag("--replace", panel=None, help="Replace records that differ by those of the file.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Add the state in a file to the Redis of REDIS_URL, or to the state directory."""
    from producer.cli.commands import state
    from producer.cli.run_command import run_command

    exit_with(
        run_command(
            lambda settings, err: state.import_(settings, err, file, directory=directory, replace=replace, yes=yes)
        )
    )


@app.command("reset", epilog=EXIT_CODES)
def state_reset(yes: Yes = False) -> None:
    """Remove all state from the state directory. Asks first. Never touches the Redis of REDIS_URL."""
    from producer.cli.commands import state
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: state.reset(settings, err, yes=yes)))
