"""The `spaces` commands: their names, options and help texts."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.declarations.options import Json, exit_with
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer(no_args_is_help=True, help="Check and show the file of spaces and Mavera accounts.")


@app.command("check", epilog=EXIT_CODES)
def spaces_check(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="TOML file of spaces and accounts. Default: SPACES_FILE.")
    ] = None,
    json: Json = False,
) -> None:
    """Check a spaces file and the secret files that it names, and show each mistake with its line."""
    from producer.cli.commands import spaces

    exit_with(spaces.check(file, json=json))


@app.command("list", epilog=EXIT_CODES)
def spaces_list(json: Json = False) -> None:
    """Show the spaces and accounts of SPACES_FILE, without secrets."""
    from producer.cli.commands import spaces

    exit_with(spaces.show(json=json))
