"""The commands that prepare and check a set-up and suggest clusters: their names, options and help texts."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.declarations.optional_table import SourceCommand
from producer.cli.declarations.options import (
    SET_UP,
    SOURCE,
    Clusters,
    Collection,
    Columns,
    DefaultSpaceId,
    Dialect,
    FromWarehouse,
    Json,
    exit_with,
    flag,
)
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer()


@app.command(rich_help_panel=SET_UP, epilog=EXIT_CODES)
def init(
    yes: Annotated[
        bool, flag("--yes", "-y", panel=None, help="Ask nothing; take the values from the environment.")
    ] = False,
) -> None:
    """Ask for the keys that a sync needs, check them, and write them to .env. Buys nothing."""
    from producer.cli.commands.init.set_up import init as set_up

    exit_with(set_up(yes=yes))


@app.command(cls=SourceCommand, rich_help_panel=SET_UP, epilog=EXIT_CODES)
def doctor(
    space_id: DefaultSpaceId = None,
    json: Json = False,
    clusters: Clusters = None,
    from_warehouse: FromWarehouse = None,
    columns: Columns = None,
) -> None:
    """Check settings, Redis, workers, Segment or the warehouse, and Mavera. Creates nothing."""
    from producer.cli.commands.doctor.checks import run_doctor

    exit_with(run_doctor(space_id, json=json, clusters=clusters, table=from_warehouse, columns=columns))


@app.command(cls=SourceCommand, rich_help_panel=SET_UP, epilog=EXIT_CODES)
def suggest(
    space_id: DefaultSpaceId = None,
    profiles: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Profiles to read. Default: 2,000, or 200 where each costs a request."),
    ] = None,
    json: Json = False,
    sandbox: Annotated[bool, flag("--sandbox", panel=SOURCE, help="Use made-up profiles from the sandbox.")] = False,
    from_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Read files of profiles, as `sync` does, instead of a space."),
    ] = None,
    from_warehouse: FromWarehouse = None,
    columns: Columns = None,
    dialect: Dialect = None,
    collection: Collection = "users",
) -> None:
    """Read a sample of a space, and print a clusters file for it. Creates nothing."""
    from producer.cli.commands.suggest import Sample, run_suggest
    from producer.cli.run_command import run_command

    sample = Sample(
        space_id=space_id,
        files=tuple(from_file or ()),
        table=from_warehouse,
        columns=columns,
        profiles=profiles,
        dialect=dialect,
        collection=collection,
        sandbox=sandbox,
    )
    exit_with(run_command(lambda settings, err: run_suggest(settings, err, sample, json=json), uses_sandbox=sandbox))
