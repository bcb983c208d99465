"""The command line: which commands there are, and how errors become exit codes.

Imports only typer; what a command needs is imported when it runs, so that `--help` answers at once. The options are in
`options`, the exit codes in `exit_codes`.
"""

from __future__ import annotations

import inspect
import sys
from typing import Annotated, Any, Literal, NoReturn

import typer

from producer.cli.exit_codes import EXIT_CODES, PREVIEW_EXIT_CODES
from producer.cli.options import (
    BUDGET,
    CONTROL,
    LOOK,
    OUTPUT,
    RUN,
    SERVE,
    SET_UP,
    SOURCE,
    Accept,
    AllowPartial,
    ClusterKey,
    Clusters,
    Collection,
    DefaultSpaceId,
    Details,
    Dialect,
    Embedded,
    ExitCode,
    Force,
    FromFile,
    IdempotencyKey,
    Json,
    MaxCredits,
    MaxProfiles,
    MinClusterSize,
    Mode,
    NoWait,
    RulesName,
    Sample,
    Sandbox,
    SpaceId,
    SpaceIds,
    Strategy,
    SyncId,
    Timeout,
    TraitClass,
    Yes,
    flag,
    option,
)
from producer.cli.usage_errors import Group, seconds_of, share_of

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # they would print local variables, and with them tokens and profiles
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Turns a Segment space into Mavera personas: one for each cluster of its profiles.",
    epilog=EXIT_CODES,
)


@app.command(rich_help_panel=RUN, epilog=EXIT_CODES)
def sync(
    space_ids: SpaceIds = None,
    clusters: Clusters = None,
    collection: Collection = "users",
    min_cluster_size: MinClusterSize = 3,
    force: Force = False,
    idempotency_key: IdempotencyKey = None,
    from_file: FromFile = None,
    sample: Sample = None,
    max_profiles: MaxProfiles = None,
    dialect: Dialect = None,
    strategy: Strategy = "auto",
    trait_class: TraitClass = None,
    embedded: Embedded = False,
    sandbox: Sandbox = False,
    yes: Yes = False,
    max_credits: MaxCredits = None,
    accept: Accept = False,
    allow_partial: AllowPartial = False,
    mode: Mode = "upsert",
    json: Json = False,
    details: Details = False,
    no_wait: NoWait = False,
    timeout: Timeout = None,
) -> None:
    """Read every profile of a space, and create or update one persona per cluster.

    \b
    Examples:
      segment-personas sync --sandbox                        try it without keys
      segment-personas sync spa_1 --max-credits 1200         ask at the terminal, spend no more
      segment-personas sync spa_1 --json --timeout 7200      nightly, from a scheduler
      segment-personas sync spa_1 --from-file export.ndjson.gz --clusters clusters.toml
    """
    _start(dict(locals()), preview=False)


def _preview(**given: Any) -> None:
    """Dry run: read the space and show the plan, change nothing.

    \b
    Examples:
      segment-personas preview spa_1 --max-profiles 1000
      segment-personas preview spa_1 --exit-code             5: personas would change, 0: none would
    """
    _start(given, preview=True)


def _signature_of_preview() -> inspect.Signature:
    """The options of `sync` without those that only a purchase needs, and with `--exit-code`."""
    parameters = inspect.signature(sync, eval_str=True).parameters
    kept = [parameter for name, parameter in parameters.items() if name not in {"yes", "accept"}]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([*kept, inspect.Parameter("exit_code", kind, default=False, annotation=ExitCode)])


_preview.__signature__ = _signature_of_preview()  # type: ignore[attr-defined]
app.command("preview", rich_help_panel=RUN, epilog=PREVIEW_EXIT_CODES)(_preview)


def _start(given: dict[str, Any], *, preview: bool) -> NoReturn:
    from producer.cli.commands import syncs
    from producer.cli.connect import SyncOptions

    options = SyncOptions(
        space_ids=tuple(given.pop("space_ids") or ()),
        from_files=tuple(given.pop("from_file") or ()),
        preview=preview,
        wait=not given.pop("no_wait"),
        timeout_s=seconds_of(given.pop("timeout")),
        sample=share_of(given.pop("sample")),
        arguments=tuple(sys.argv[1:]),
        **given,
    )
    _exit(syncs.run(lambda settings, err: syncs.sync(settings, err, options)))


@app.command(rich_help_panel=RUN, epilog=EXIT_CODES)
def apply(
    sync_id: SyncId,
    accept: Accept = False,
    allow_partial: Annotated[
        bool,
        flag("--allow-partial", panel=BUDGET, help="Create personas although only a part of the space was read."),
    ] = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Make the personas of a preview, without reading the space again, for no more credits than it showed."""
    from producer.cli.commands import syncs

    _exit(
        syncs.run(
            lambda settings, err: syncs.apply(
                settings,
                err,
                sync_id,
                accept=accept,
                allow_partial=allow_partial,
                max_credits=max_credits,
                wait=not no_wait,
                json=json,
                timeout_s=seconds_of(timeout),
            )
        )
    )


@app.command(rich_help_panel=LOOK, epilog=EXIT_CODES)
def status(
    sync_id: SyncId,
    follow: Annotated[bool, flag("--follow", "-f", help="Follow it to its end.")] = False,
    json: Json = False,
    details: Details = False,
    timeout: Timeout = None,
) -> None:
    """Show a sync: state, progress, clusters and personas so far."""
    from producer.cli.commands import syncs

    _exit(
        syncs.run(
            lambda settings, err: syncs.status(
                settings, err, sync_id, json=json, follow=follow, timeout_s=seconds_of(timeout), details=details
            )
        )
    )


@app.command("list", rich_help_panel=LOOK, epilog=EXIT_CODES)
def list_syncs(
    json: Json = False,
    limit: Annotated[int, option(metavar="N", min=1, panel=OUTPUT, help="Show at most this many.")] = 20,
) -> None:
    """Show the newest syncs."""
    from producer.cli.commands import syncs

    _exit(syncs.run(lambda settings, err: syncs.listed(settings, err, json=json, limit=limit)))


@app.command(rich_help_panel=LOOK, epilog=EXIT_CODES)
def history(
    space_id: SpaceId, collection: Collection = "users", rules: RulesName = "recipe", json: Json = False
) -> None:
    """Show the last complete syncs of a space: how many profiles they read, and the shares of the clusters."""
    from producer.cli.commands import syncs

    _exit(
        syncs.run(
            lambda settings, err: syncs.history(settings, err, space_id, collection=collection, rules=rules, json=json)
        )
    )


@app.command(rich_help_panel=CONTROL, epilog=EXIT_CODES)
def cancel(sync_id: SyncId) -> None:
    """Stop a sync. Personas already created are kept."""
    from producer.cli.commands import syncs

    _exit(syncs.run(lambda settings, err: syncs.cancel(settings, err, sync_id)))


@app.command(rich_help_panel=CONTROL, epilog=EXIT_CODES)
def resume(
    sync_id: SyncId,
    restart: Annotated[
        bool, flag("--restart", panel=SOURCE, help="Read the space from the start, with fresh sums.")
    ] = False,
    accept: Accept = False,
    max_credits: MaxCredits = None,
    no_wait: NoWait = False,
    json: Json = False,
    timeout: Timeout = None,
) -> None:
    """Go on with a failed sync where it stopped."""
    from producer.cli.commands import syncs

    _exit(
        syncs.run(
            lambda settings, err: syncs.resume(
                settings,
                err,
                sync_id,
                restart=restart,
                accept=accept,
                max_credits=max_credits,
                wait=not no_wait,
                json=json,
                timeout_s=seconds_of(timeout),
            )
        )
    )


personas_app = typer.Typer(no_args_is_help=True, help="Show and change by hand which persona belongs to which cluster.")
app.add_typer(personas_app, name="personas", rich_help_panel=SET_UP, epilog=EXIT_CODES)


@personas_app.command("list", epilog=EXIT_CODES)
def personas_list(
    space_id: Annotated[str | None, typer.Argument(metavar="SPACE_ID", help="Only of this space.")] = None,
    json: Json = False,
) -> None:
    """Show which persona belongs to which cluster, and when it was last updated."""
    from producer.cli.commands import personas
    from producer.cli.commands.syncs import run

    _exit(run(lambda settings, err: personas.listed(settings, err, space_id, json=json)))


@personas_app.command("adopt", epilog=EXIT_CODES)
def personas_adopt(
    space_id: SpaceId,
    cluster: ClusterKey,
    persona_id: Annotated[str, typer.Argument(metavar="PERSONA_ID", help="Id of a custom persona at Mavera.")],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Use a persona that was made by hand for a cluster: the next sync updates it and buys none."""
    from producer.cli.commands import personas
    from producer.cli.commands.syncs import run
    from producer.cli.persona_records import Place

    place = Place(space_id, cluster, collection, rules)
    _exit(run(lambda settings, err: personas.adopt(settings, err, place, persona_id)))


@personas_app.command("forget", epilog=EXIT_CODES)
def personas_forget(
    space_id: SpaceId, cluster: ClusterKey, collection: Collection = "users", rules: RulesName = "recipe"
) -> None:
    """Forget which persona a cluster has. The persona stays at Mavera."""
    from producer.cli.commands import personas
    from producer.cli.commands.syncs import run
    from producer.cli.persona_records import Place

    place = Place(space_id, cluster, collection, rules)
    _exit(run(lambda settings, err: personas.forget(settings, err, place)))


@personas_app.command("rename", epilog=EXIT_CODES)
def personas_rename(
    space_id: SpaceId,
    old: Annotated[str, typer.Argument(metavar="OLD", help="Key of the cluster so far.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its key from now on.")],
    collection: Collection = "users",
    rules: RulesName = "recipe",
) -> None:
    """Keep a cluster's persona when the cluster gets another key, instead of buying a new one."""
    from producer.cli.commands import personas
    from producer.cli.commands.syncs import run
    from producer.cli.persona_records import Place

    place = Place(space_id, old, collection, rules)
    _exit(run(lambda settings, err: personas.rename(settings, err, place, new)))


@app.command(rich_help_panel=SERVE, epilog=EXIT_CODES)
def worker(
    what: Annotated[
        Literal["alive", "ready"] | None,
        typer.Argument(
            metavar="[alive|ready]",
            show_default=False,
            help="With --check. alive: the process runs, whatever Redis does; ready (default): it takes jobs.",
        ),
    ] = None,
    check: Annotated[bool, flag("--check", help="Check the worker on this host instead (exit code 0 or 1).")] = False,
) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    from worker.__main__ import main as run_worker

    _exit(run_worker([*(["--check"] if check else []), *([what] if what else [])]))


@app.command(rich_help_panel=SET_UP, epilog=EXIT_CODES)
def doctor(
    space_id: DefaultSpaceId = None,
    json: Json = False,
    clusters: Clusters = None,
) -> None:
    """Check the set-up, and create nothing: settings, Redis, workers, Segment, Mavera."""
    from producer.cli.commands.doctor import run_doctor

    _exit(run_doctor(space_id, json=json, clusters=clusters))


@app.command(rich_help_panel=SERVE, epilog=EXIT_CODES)
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
        typer.Option(metavar="SECONDS", min=0, help="The same for a list without traits. Default: --latency."),
    ] = None,
    mavera_latency: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Added to every answer of Mavera.")
    ] = 0.1,
    segment_limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Requests a second for a space; beyond it, 429.")
    ] = 100,
    mavera_limit: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Requests a minute for a key; beyond it, 429.")
    ] = 60,
    credits: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Credit balance; a purchase beyond it gets a 402. Default: unlimited."),
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
    from producer.cli.commands.sandbox import StandIns, serve

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


@app.command(rich_help_panel=SET_UP, epilog=EXIT_CODES)
def suggest(
    space_id: DefaultSpaceId = None,
    profiles: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Profiles to look at. Default: 2,000; 200 where each costs a request."),
    ] = None,
    json: Json = False,
    sandbox: Annotated[
        bool, flag("--sandbox", panel=SOURCE, help="Use made-up profiles from a stand-in for Segment.")
    ] = False,
    from_file: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Look at a file of profiles, one a line, instead of a space."),
    ] = None,
    dialect: Dialect = None,
    collection: Collection = "users",
) -> None:
    """Look at a sample of a space, and print a clusters file for it. Creates nothing."""
    from producer.cli.commands.suggest import Sample, suggestion
    from producer.cli.commands.syncs import run

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
app.add_typer(clusters_app, name="clusters", rich_help_panel=SET_UP, epilog=EXIT_CODES)


@clusters_app.command("check", epilog=EXIT_CODES)
def clusters_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="TOML file of traits and clusters.")],
    json: Json = False,
) -> None:
    """Say whether a file can be used, and if not, what is wrong in which line."""
    from producer.cli.commands import clusters

    _exit(clusters.check(file, json=json))


@clusters_app.command("show", epilog=EXIT_CODES)
def clusters_show(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="A file, or one that ships: recipe, saas. Default: CLUSTERS_FILE, recipe."),
    ] = None,
    json: Json = False,
    toml: Annotated[bool, flag("--toml", help="Print the file itself, as a start for your own.")] = False,
) -> None:
    """Show traits and clusters in words."""
    from producer.cli.commands import clusters

    _exit(clusters.show(file, json=json, toml=toml))


@clusters_app.command("schema", epilog=EXIT_CODES)
def clusters_schema() -> None:
    """Print the JSON Schema of such files, for editors."""
    from producer.cli.commands import clusters

    _exit(clusters.print_schema())


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
) -> None:
    """(Shown as the help of the program: see `app`.)"""


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
    from producer.documents.error_document import error_document
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
    stderr().say(text, "red")
    return code


def _check_arguments() -> None:
    """Raises ConfigurationError if an argument is not text: no request, key or file name could hold it."""
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            from worker.errors import ConfigurationError

            raise ConfigurationError(f"{argument!r}: this argument is not valid in this terminal's encoding.") from None


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code)
