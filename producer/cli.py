"""The command line: which commands there are, their options, and how errors become exit codes.

Imports only typer; what a command needs is imported when it runs, so that `--help` answers at once.

Exit codes: 0 completed; 1 the sync failed; 2 wrong usage or configuration; 3 cancelled, or not agreed to; 130 no longer
following.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal, NoReturn

import typer

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would print local variables, and with them tokens and profiles
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Turns a Segment space into Mavera personas: one for each cluster of its profiles.",
    epilog="Exit codes: 0 completed, 1 the sync failed, 2 wrong usage or configuration, 3 cancelled or "
    "not agreed to, 130 no longer following.",
)


def _flag(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, metavar="", show_default=False, **more)


SyncId = Annotated[str, typer.Argument(metavar="SYNC_ID", help="As `sync` and `list` print it.")]
Json = Annotated[bool, _flag("--json", help="Print one JSON document on stdout; everything else goes to stderr.")]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Stop following after so long (exit code 130)."),
]
Dialect = Annotated[
    Literal["inline", "profile-api"] | None,
    typer.Option(
        metavar="inline|profile-api",
        help="Ask for traits with the list, or for each profile's. Default: SEGMENT_DIALECT.",
    ),
]
Clusters = Annotated[
    str | None,
    typer.Option(
        "--clusters", metavar="FILE", help="File of traits and clusters (see `clusters`). Default: CLUSTERS_FILE."
    ),
]
SpaceId = Annotated[str, typer.Argument(metavar="SPACE_ID", help="Segment space.")]
ClusterKey = Annotated[str, typer.Argument(metavar="CLUSTER", help="Key of the cluster, such as high_value.")]
Collection = Annotated[
    Literal["users", "accounts"], typer.Option("--collection", metavar="users|accounts", help="Collection of profiles.")
]
RulesName = Annotated[str, typer.Option("--rules", metavar="NAME", help="Name of the rules that have the cluster.")]
NoWait = Annotated[bool, _flag("--no-wait", help="Print the sync id and return; do not follow.")]
Accept = Annotated[bool, _flag("--accept", help="What a guard stopped it for is as it should be: change the personas.")]
MaxCredits = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Buy nothing if the sync would cost more credits.")
]


@app.command("preview", help="Do all that sync does but change personas: show the clusters, and what would be made.")
@app.command()
def sync(
    ctx: typer.Context,
    space_ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="SPACE_ID", help="Segment spaces, several at once. Default: SEGMENT_SPACE_ID."),
    ] = None,
    yes: Annotated[bool, _flag("--yes", "-y", help="Do not ask before personas are paid for.")] = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    embedded: Annotated[
        bool, _flag("--embedded", help="Run everything in this process. So it is, too, without REDIS_URL.")
    ] = False,
    sandbox: Annotated[
        bool, _flag("--sandbox", help="Use made-up profiles and stand-ins for both APIs. Implies --embedded.")
    ] = False,
    from_file: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE", help="Read profiles from a file, a JSON object a line; .gz too; -: standard input."
        ),
    ] = None,
    sample: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Read a sample: 0.05 is one profile in twenty, the same ones every time."),
    ] = None,
    max_profiles: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Stop reading after so many profiles.")
    ] = None,
    min_cluster_size: Annotated[int, typer.Option(metavar="N", min=1, help="A smaller cluster makes no persona.")] = 3,
    timeout: Timeout = None,
    force: Annotated[bool, _flag("--force", help="Start another sync beside one of the same space.")] = False,
    mode: Annotated[
        Literal["upsert", "create"],
        typer.Option(metavar="upsert|create", help="Update a cluster's persona if it has one, or always buy anew."),
    ] = "upsert",
    allow_partial: Annotated[
        bool,
        _flag(
            "--allow-partial",
            help="Let a part of a space (--max-profiles, --sample) create personas, and overwrite those made from all.",
        ),
    ] = False,
    dialect: Dialect = None,
    strategy: Annotated[
        Literal["auto", "chain", "fan-out"],
        typer.Option(
            metavar="auto|chain|fan-out",
            help="Read page after page, or list first and read on all workers (inline); auto: the chain.",
        ),
    ] = "auto",
    collection: Collection = "users",
    trait_class: Annotated[
        Literal["computed_trait", "audience"] | None,
        typer.Option(metavar="computed_trait|audience", help="Read only traits of this class (profile-api)."),
    ] = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key never starts a second sync.")
    ] = None,
    clusters: Clusters = None,
) -> None:
    """Read every profile of a space, and create or update one persona per cluster."""
    from producer import commands
    from producer.asking import SyncOptions

    options = SyncOptions(
        space_ids=tuple(space_ids or ()),
        preview=ctx.info_name == "preview",
        yes=yes,
        max_credits=max_credits,
        wait=not no_wait,
        json=json,
        embedded=embedded,
        sandbox=sandbox,
        from_files=tuple(from_file or ()),
        sample=sample,
        max_profiles=max_profiles,
        min_cluster_size=min_cluster_size,
        timeout_s=_seconds(timeout),
        force=force,
        mode=mode,
        allow_partial=allow_partial,
        dialect=dialect,
        strategy=strategy,
        collection=collection,
        trait_class=trait_class,
        idempotency_key=idempotency_key,
        clusters=clusters,
    )
    _exit(commands.run(lambda settings, err: commands.sync(settings, err, options)))


@app.command()
def status(
    sync_id: SyncId,
    json: Json = False,
    follow: Annotated[bool, _flag("--follow", "-f", help="Follow it to its end.")] = False,
    timeout: Timeout = None,
) -> None:
    """Show a sync: state, progress, clusters and personas so far."""
    from producer import commands

    _exit(
        commands.run(
            lambda settings, err: commands.status(
                settings, err, sync_id, json=json, follow=follow, timeout_s=_seconds(timeout)
            )
        )
    )


@app.command("list")
def list_syncs(
    json: Json = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="So many at most.")] = 20,
) -> None:
    """Show the newest syncs."""
    from producer import commands

    _exit(commands.run(lambda settings, err: commands.listed(settings, err, json=json, limit=limit)))


@app.command()
def history(
    space_id: SpaceId, collection: Collection = "users", rules: RulesName = "recipe", json: Json = False
) -> None:
    """Show what the last complete syncs of a space have read: sizes and shares of its clusters."""
    from producer import commands

    _exit(
        commands.run(
            lambda settings, err: commands.history(
                settings, err, space_id, collection=collection, rules=rules, json=json
            )
        )
    )


@app.command()
def cancel(sync_id: SyncId) -> None:
    """Stop a sync. Personas that it made stay."""
    from producer import commands

    _exit(commands.run(lambda settings, err: commands.cancel(settings, err, sync_id)))


@app.command()
def resume(
    sync_id: SyncId,
    restart: Annotated[bool, _flag("--restart", help="Read the space from the start, with fresh sums.")] = False,
    accept: Accept = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Go on with a failed sync where it stopped."""
    from producer import commands

    _exit(
        commands.run(
            lambda settings, err: commands.resume(
                settings,
                err,
                sync_id,
                restart=restart,
                accept=accept,
                max_credits=max_credits,
                wait=not no_wait,
                json=json,
                timeout_s=_seconds(timeout),
            )
        )
    )


@app.command()
def apply(
    sync_id: SyncId,
    accept: Accept = False,
    allow_partial: Annotated[
        bool, _flag("--allow-partial", help="Create personas although only a part of the space was read.")
    ] = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Make the personas of a preview, without reading the space again, for no more than it said."""
    from producer import commands

    _exit(
        commands.run(
            lambda settings, err: commands.apply(
                settings,
                err,
                sync_id,
                accept=accept,
                allow_partial=allow_partial,
                max_credits=max_credits,
                wait=not no_wait,
                json=json,
                timeout_s=_seconds(timeout),
            )
        )
    )


personas_app = typer.Typer(no_args_is_help=True, help="Show and change by hand which persona belongs to which cluster.")
app.add_typer(personas_app, name="personas")


@personas_app.command("list")
def personas_list(
    space_id: Annotated[str | None, typer.Argument(metavar="SPACE_ID", help="Of this space only.")] = None,
    json: Json = False,
) -> None:
    """Show which persona belongs to which cluster, and when it was last updated."""
    from producer import personas
    from producer.commands import run

    _exit(run(lambda settings, err: personas.listed(settings, err, space_id, json=json)))


@personas_app.command("adopt")
def personas_adopt(
    space_id: SpaceId,
    cluster: ClusterKey,
    persona_id: Annotated[str, typer.Argument(metavar="PERSONA_ID", help="Of a custom persona at Mavera.")],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Use a persona that was made by hand for a cluster: the next sync updates it and buys none."""
    from producer import personas
    from producer.catalogue import Place
    from producer.commands import run

    place = Place(space_id, cluster, collection, rules)
    _exit(run(lambda settings, err: personas.adopt(settings, err, place, persona_id)))


@personas_app.command("forget")
def personas_forget(
    space_id: SpaceId, cluster: ClusterKey, collection: Collection = "users", rules: RulesName = "recipe"
) -> None:
    """Forget which persona a cluster has. The persona stays at Mavera."""
    from producer import personas
    from producer.catalogue import Place
    from producer.commands import run

    place = Place(space_id, cluster, collection, rules)
    _exit(run(lambda settings, err: personas.forget(settings, err, place)))


@personas_app.command("rename")
def personas_rename(
    space_id: SpaceId,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Key of the cluster so far.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its key from now on.")],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Keep a cluster's persona when the cluster gets another key, instead of buying a new one."""
    from producer import personas
    from producer.catalogue import Place
    from producer.commands import run

    place = Place(space_id, old, collection, rules)
    _exit(run(lambda settings, err: personas.rename(settings, err, place, new)))


@app.command()
def worker(
    check: Annotated[
        bool, _flag("--check", help="Say whether a worker on this host is alive (exit code 0 or 1).")
    ] = False,
) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    from worker.__main__ import main as run_worker

    _exit(run_worker(["--check"] if check else []))


@app.command()
def doctor(
    space_id: Annotated[
        str | None, typer.Argument(metavar="SPACE_ID", help="Space to look into. Default: SEGMENT_SPACE_ID.")
    ] = None,
    json: Json = False,
    clusters: Clusters = None,
) -> None:
    """Check the set-up, and create nothing: settings, Redis, workers, Segment, Mavera."""
    from producer import doctor as checks
    from producer.commands import run

    _exit(run(lambda settings, err: checks.doctor(settings, space_id, json=json, clusters=clusters)))


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0: any free one.")] = 8080,
    profiles: Annotated[int, typer.Option(metavar="N", min=0, help="Profiles in every space.")] = 20_000,
    kind: Annotated[
        Literal["mixed", "recipe", "wide", "saas"],
        typer.Option(
            metavar="mixed|recipe|wide|saas",
            help="Realistic and dirty; the recipe's samples; clean, ten traits; users of a B2B product.",
        ),
    ] = "mixed",
    seed: Annotated[int, typer.Option(metavar="N", help="Another seed is another space.")] = 0,
    page_size: Annotated[int, typer.Option(metavar="N", min=1, help="Most profiles in a page.")] = 200,
    latency: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long Segment takes to answer.")] = 0.05,
    listing_latency: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="The same for a list without traits, if it differs."),
    ] = None,
    mavera_latency: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Added to every answer of Mavera.")
    ] = 0.1,
    segment_limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Requests a second for a space; over it, 429.")
    ] = 100,
    mavera_limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Requests a minute for a key; over it, 429.")
    ] = 60,
    credits: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Credits at Mavera; over them, 402. Default: no end of them.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="JSON",
            help="What goes wrong; may be repeated. "
            """Such as '{"api": "segment", "kind": "status", "status": 503, "every": 10}'.""",
        ),
    ] = None,
) -> None:
    """Serve stand-ins for Segment and Mavera until Ctrl-C."""
    from producer.stand_ins import StandIns, serve

    _exit(
        serve(
            StandIns(
                profiles=profiles,
                kind=kind,
                seed=seed,
                page_size=page_size,
                latency_s=latency,
                listing_latency_s=listing_latency,
                mavera_latency_s=mavera_latency,
                segment_limit=segment_limit,
                mavera_limit=mavera_limit,
                credits=credits,
                faults=tuple(fault or ()),
            ),
            host,
            port,
        )
    )


@app.command()
def suggest(
    space_id: Annotated[
        str | None, typer.Argument(metavar="SPACE_ID", help="Space to look into. Default: SEGMENT_SPACE_ID.")
    ] = None,
    profiles: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Profiles to look at. Default: 2,000; 200 where each costs a request."),
    ] = None,
    json: Json = False,
    sandbox: Annotated[bool, _flag("--sandbox", help="Use made-up profiles from a stand-in for Segment.")] = False,
    from_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Look at a file of profiles, one a line, in the place of a space."),
    ] = None,
    dialect: Dialect = None,
    collection: Collection = "users",
) -> None:
    """Look at a sample of a space, and print a clusters file for it. Creates nothing."""
    from producer.commands import run
    from producer.suggest import Sample, suggestion

    sample = Sample(
        space_id=space_id,
        files=tuple(from_file or ()),
        profiles=profiles,
        dialect=dialect,
        collection=collection,
        sandbox=sandbox,
    )
    _exit(run(lambda settings, err: suggestion(settings, err, sample, json=json)))


clusters_app = typer.Typer(no_args_is_help=True, help="Check and show files of traits and clusters.")
app.add_typer(clusters_app, name="clusters")


@clusters_app.command("check")
def clusters_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML file of traits and clusters.")],
    json: Json = False,
) -> None:
    """Say whether a file can be used, and if not, what is wrong in which line."""
    from producer import clusters

    _exit(clusters.check(file, json=json))


@clusters_app.command("show")
def clusters_show(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A file, or one that ships: recipe, saas. Default: CLUSTERS_FILE, recipe."),
    ] = None,
    json: Json = False,
    toml: Annotated[bool, _flag("--toml", help="Print the file itself, to make your own of it.")] = False,
) -> None:
    """Show traits and clusters in words."""
    from producer import clusters

    _exit(clusters.show(file, json=json, toml=toml))


@clusters_app.command("schema")
def clusters_schema() -> None:
    """Print the JSON Schema of such files, for editors."""
    from producer import clusters

    _exit(clusters.print_schema())


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"segment-personas {version('segment-personas')}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[bool, _flag("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    """(Shown as the help of the program: see `app`.)"""


def main() -> NoReturn:
    """Runs the command line and exits; errors of the user are one sentence on stderr and exit code 2."""
    if not sys.argv[1:] or {"--help", "-h"}.intersection(sys.argv):
        from producer.lean_help import import_renderer

        import_renderer()
    try:
        _check_arguments()
        app(prog_name="segment-personas")
    except Exception as error:
        from worker.errors import PersonasError

        if not isinstance(error, PersonasError):
            raise
        from producer.screen import stderr

        stderr().say(str(error), "red")
        sys.exit(2)
    raise AssertionError("app always exits")  # pragma: no cover


def _check_arguments() -> None:
    """Raises ConfigurationError if an argument is no text: no request, key or file name could hold it."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            from worker.errors import ConfigurationError

            raise ConfigurationError(f"{argument!r}: this argument is no text in this terminal's encoding.") from None


def _seconds(timeout: float | None) -> float:
    return float("inf") if timeout is None else timeout


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code)
