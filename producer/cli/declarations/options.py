"""The options of the command line, with their help texts and the panels in which `--help` shows them.

Imports only typer and checks that import nothing, so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NoReturn

import typer

from producer.cli.identifiers import (
    check_idempotency_key,
    check_rules_name,
    check_space_id,
    check_sync_id,
)

SCOPE, SOURCE, BUDGET, OUTPUT = "Scope", "Source", "Budget", "Output"

RUN, INSPECT, CONTROL, SET_UP, SERVE = "Run", "Inspect", "Control", "Set up", "Serve"


def flag(*names: str, help: str, panel: str | None = OUTPUT, **more: Any) -> Any:
    """Returns an option without a value."""
    return typer.Option(*names, help=help, metavar="", show_default=False, rich_help_panel=panel, **more)


def option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    """Returns an option with a value."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


SyncId = Annotated[
    str,
    typer.Argument(metavar="SYNC_ID", help="Id of the sync, as `sync` and `list` print it.", callback=check_sync_id),
]
Json = Annotated[bool, flag("--json", help="Print one JSON document on stdout; everything else goes to stderr.")]
Timeout = Annotated[
    str | None,
    option("--timeout", metavar="SECONDS", panel=OUTPUT, help="Stop following after this time, such as 90 or 2h."),
]
NoWait = Annotated[bool, flag("--no-wait", help="Print the sync id and return; do not follow.")]
Details = Annotated[bool, flag("--details", help="Show every field that a plan would change.")]
ExitCode = Annotated[
    bool,
    flag(
        "--exit-code", help="Exit with 5 if personas would change, with 6 if a guard or the budget would stop the sync."
    ),
]
Accept = Annotated[
    bool,
    flag(
        "--accept",
        panel=BUDGET,
        help="Continue even if a guard would stop the sync, for example because the space shrank.",
    ),
]
MaxCredits = Annotated[
    int | None,
    option(
        metavar="N",
        min=0,
        panel=BUDGET,
        help="Most credits that the sync may spend. If it would cost more, it buys nothing.",
    ),
]
Dialect = Annotated[
    Literal["auto", "inline", "profile-api"] | None,
    option(
        metavar="auto|inline|profile-api",
        panel=SOURCE,
        help="Read traits with the list, or with one request for each profile. Default: SEGMENT_DIALECT.",
    ),
]
Clusters = Annotated[
    str | None,
    option(
        "--clusters",
        metavar="FILE",
        panel=SCOPE,
        help="File of traits and clusters (see `clusters`). Default: CLUSTERS_FILE.",
    ),
]
Collection = Annotated[
    Literal["users", "accounts"],
    option("--collection", metavar="users|accounts", panel=SCOPE, help="Collection of profiles to read."),
]
SpaceIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="SPACE_ID", help="Segment spaces, several at once. Default: SEGMENT_SPACE_ID."),
]
SpaceId = Annotated[str, typer.Argument(metavar="SPACE_ID", help="Segment space.", callback=check_space_id)]
DefaultSpaceId = Annotated[
    str | None, typer.Argument(metavar="SPACE_ID", help="Segment space. Default: SEGMENT_SPACE_ID.")
]
ClusterKey = Annotated[str, typer.Argument(metavar="CLUSTER", help="Key of the cluster, such as high_value.")]
RulesName = Annotated[
    str,
    option(
        "--rules",
        metavar="NAME",
        panel=SCOPE,
        help="Name of the rules that define the clusters.",
        callback=check_rules_name,
    ),
]

Yes = Annotated[bool, flag("--yes", "-y", panel=BUDGET, help="Do not ask before buying personas.")]
AllowPartial = Annotated[
    bool,
    flag(
        "--allow-partial",
        panel=BUDGET,
        help="Let a part of a space (--max-profiles, --sample) create personas, and overwrite those of a whole space.",
    ),
]
Mode = Annotated[
    Literal["upsert", "create"],
    option(
        metavar="upsert|create", panel=BUDGET, help="Update a cluster's persona if it has one, or always buy a new one."
    ),
]
Embedded = Annotated[
    bool,
    flag("--embedded", panel=SOURCE, help="Run the worker in this process (the default when REDIS_URL is not set)."),
]
Sandbox = Annotated[
    bool,
    flag("--sandbox", panel=SOURCE, help="Use the sandbox and its made-up profiles. Implies --embedded."),
]
FromFile = Annotated[
    list[str] | None,
    option(
        metavar="FILE",
        panel=SOURCE,
        help="Read profiles from a file, directory, 'pattern' or s3:// URL: Parquet, CSV, NDJSON; -: stdin.",
    ),
]
FromWarehouse = Annotated[
    str | None,
    option(
        "--from-warehouse",
        metavar="[TABLE]",
        panel=SOURCE,
        help="Read a table of WAREHOUSE_URL, such as segment.user_traits. Default: user_traits or profile_traits.",
    ),
]
Columns = Annotated[
    str | None,
    option(
        "--columns",
        metavar="ROLE=NAME,…",
        panel=SOURCE,
        help="Columns of the warehouse table: id=…,name=…,value=… or id=…,traits=…,merged_to=….",
    ),
]
Sample = Annotated[
    str | None,
    option(
        metavar="SHARE",
        panel=SOURCE,
        help="Read a sample: 0.05 or 5% is one profile in twenty, the same ones every time.",
    ),
]
MaxProfiles = Annotated[
    int | None, option(metavar="N", min=1, panel=SOURCE, help="Stop reading after this many profiles.")
]
Strategy = Annotated[
    Literal["auto", "chain", "fan-out"],
    option(
        metavar="auto|chain|fan-out",
        panel=SOURCE,
        help="chain: read page after page; fan-out: list first, read on all workers (inline only); auto: chain.",
    ),
]
TraitClass = Annotated[
    Literal["computed_trait", "audience"] | None,
    option(metavar="computed_trait|audience", panel=SOURCE, help="Read only traits of this class (profile-api)."),
]
MinClusterSize = Annotated[
    int, option(metavar="N", min=1, panel=SCOPE, help="Fewest profiles of a cluster that gets a persona.")
]
Force = Annotated[bool, flag("--force", panel=SCOPE, help="Start the sync even if another one of the same space runs.")]
IdempotencyKey = Annotated[
    str | None,
    option(metavar="KEY", panel=SCOPE, help="Start no second sync with the same key.", callback=check_idempotency_key),
]
EnvFile = Annotated[
    str | None,
    option(
        "--env-file",
        metavar="FILE",
        help="File of settings to read. Default: SEGMENT_PERSONAS_ENV_FILE, or .env in this directory if it exists.",
    ),
]
NoEnvFile = Annotated[bool, flag("--no-env-file", panel=None, help="Read settings only from the environment.")]


def exit_with(code: int) -> NoReturn:
    """Ends a command with an exit code."""
    raise typer.Exit(code)
