"""The `clusters` commands: their names, options and help texts."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.declarations.options import Json, exit_with, flag
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer(no_args_is_help=True, help="Check and show files of traits and clusters.")


@app.command("check", epilog=EXIT_CODES)
def clusters_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML file of traits and clusters.")],
    json: Json = False,
) -> None:
    """Check a clusters file, and show each mistake with its line."""
    from producer.cli.commands import clusters

    exit_with(clusters.check(file, json=json))


@app.command("show", epilog=EXIT_CODES)
def clusters_show(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A file, or one that ships: recipe, saas. Default: CLUSTERS_FILE, recipe."),
    ] = None,
    json: Json = False,
    toml: Annotated[bool, flag("--toml", help="Print the file itself, as a start for your own.")] = False,
) -> None:
    """Describe traits and clusters in words."""
    from producer.cli.commands import clusters

    exit_with(clusters.show(file, json=json, toml=toml))


@app.command("schema", epilog=EXIT_CODES)
def clusters_schema() -> None:
    """Print the JSON Schema of clusters files, for editors."""
    from producer.cli.commands import clusters

    exit_with(clusters.print_schema())
