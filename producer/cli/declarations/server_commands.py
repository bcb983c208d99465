"""The commands that run until they are stopped, `serve`, `worker` and `sandbox`: their options and help texts."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from producer.cli.declarations.options import SERVE, exit_with, flag
from producer.cli.exit_codes import EXIT_CODES

app = typer.Typer()


@app.command(rich_help_panel=SERVE, epilog=EXIT_CODES)
def worker(
    probe: Annotated[
        Literal["alive", "ready"] | None,
        typer.Argument(
            metavar="[alive|ready]",
            show_default=False,
            help="With --check. alive: the process runs, even without Redis; ready (default): it takes jobs.",
        ),
    ] = None,
    check: Annotated[bool, flag("--check", help="Check the worker on this host instead (exit code 0 or 1).")] = False,
) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    from producer.cli.commands.worker import run_worker

    exit_with(run_worker(check=check, probe=probe))


@app.command(rich_help_panel=SERVE, epilog=EXIT_CODES)
def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on. An address that other machines can reach needs API_TOKENS_FILE.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port; 0: any free one.")] = 8000,
    sandbox: Annotated[
        bool, flag("--sandbox", help="Run everything in this process, with the sandbox: no Redis, no keys.")
    ] = False,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C."""
    from producer.cli.commands import serve as command
    from producer.cli.run_command import run_command

    exit_with(
        run_command(
            lambda settings, err: command.serve(settings, err, host=host, port=port, sandbox=sandbox),
            uses_sandbox=sandbox,
        )
    )


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
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the made-up profiles.")] = 0,
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
    """Serve the sandbox, which answers as Segment and Mavera do, until Ctrl-C."""
    from producer.cli.commands.sandbox import SandboxCommandOptions, serve

    exit_with(
        serve(
            SandboxCommandOptions(
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
