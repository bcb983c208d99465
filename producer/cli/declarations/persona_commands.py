"""The `personas` commands: their names, options and help texts."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.declarations.options import ClusterKey, Collection, Json, RulesName, SpaceId, exit_with
from producer.cli.exit_codes import EXIT_CODES
from producer.cli.identifiers import check_persona_id, check_space_id

app = typer.Typer(no_args_is_help=True, help="Show and change which persona belongs to which cluster.")


@app.command("list", epilog=EXIT_CODES)
def personas_list(
    space_id: Annotated[
        str | None, typer.Argument(metavar="SPACE_ID", help="Show only this space.", callback=check_space_id)
    ] = None,
    json: Json = False,
) -> None:
    """Show which persona belongs to which cluster, and when it was last updated."""
    from producer.cli.commands import personas
    from producer.cli.run_command import run_command

    exit_with(run_command(lambda settings, err: personas.list_personas(settings, err, space_id, json=json)))


@app.command("adopt", epilog=EXIT_CODES)
def personas_adopt(
    space_id: SpaceId,
    cluster: ClusterKey,
    persona_id: Annotated[
        str,
        typer.Argument(metavar="PERSONA_ID", help="Id of a custom persona at Mavera.", callback=check_persona_id),
    ],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Assign an existing persona to a cluster: the next sync updates it and buys none."""
    from producer.cli.commands import personas
    from producer.cli.run_command import run_command
    from producer.persona_catalog import ClusterAddress

    place = ClusterAddress(space_id, cluster, collection, rules)
    exit_with(run_command(lambda settings, err: personas.adopt_persona(settings, err, place, persona_id)))


@app.command("forget", epilog=EXIT_CODES)
def personas_forget(
    space_id: SpaceId, cluster: ClusterKey, collection: Collection = "users", rules: RulesName = "recipe"
) -> None:
    """Remove the record of a cluster's persona. The persona stays at Mavera."""
    from producer.cli.commands import personas
    from producer.cli.run_command import run_command
    from producer.persona_catalog import ClusterAddress

    place = ClusterAddress(space_id, cluster, collection, rules)
    exit_with(run_command(lambda settings, err: personas.forget_persona(settings, err, place)))


@app.command("rename", epilog=EXIT_CODES)
def personas_rename(
    space_id: SpaceId,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Old key of the cluster.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="New key of the cluster.")],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Keep the persona of a cluster whose key has changed, instead of buying a new one."""
    from producer.cli.commands import personas
    from producer.cli.run_command import run_command
    from producer.persona_catalog import ClusterAddress

    place = ClusterAddress(space_id, old, collection, rules)
    exit_with(run_command(lambda settings, err: personas.rename_persona(settings, err, place, new)))
