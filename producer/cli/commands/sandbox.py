"""`segment-personas sandbox`: serves the sandbox until Ctrl-C, and says how to point the program at it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass

from producer.cli.terminal import stderr, stdout
from producer.embedded import DEMO_SPACE_ID
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from producer.sandbox import serve as serve_sandbox
from producer.sandbox.spaces.space import Kind
from worker.errors import ConfigurationError


@dataclass(frozen=True)
class SandboxCommandOptions:
    """The options of the command.

    Attributes:
        faults: JSON objects, see `producer.sandbox.faults.Fault`.
    """

    profiles: int
    kind: Kind
    seed: int
    page_size: int
    latency_s: float
    listing_latency_s: float | None
    mavera_latency_s: float
    segment_limit: int | None
    mavera_limit: int | None
    credits: int | None
    faults: tuple[str, ...]

    def options(self) -> SandboxOptions:
        """Returns the sandbox's own. Raises ConfigurationError that says what is wrong with a fault."""
        return SandboxOptions(
            {},
            default_space=SpaceSpec(self.profiles, self.kind, self.seed, as_of=time.time()),
            latency_s=self.latency_s,
            listing_latency_s=self.listing_latency_s,
            mavera_latency_s=self.mavera_latency_s,
            page_size=self.page_size,
            segment_limit=self.segment_limit,
            mavera_limit=self.mavera_limit,
            credits=self.credits,
            faults=tuple(map(_fault, self.faults)),
        )


def serve(command_options: SandboxCommandOptions, host: str, port: int) -> int:
    """Serves until Ctrl-C or SIGTERM; returns exit code 0. Raises ConfigurationError if it cannot listen there."""
    options = command_options.options()
    try:
        asyncio.run(_serve(options, host, port))
    except OSError as error:
        # asyncio packs the reason into a longer text; a name that does not resolve has no number.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise ConfigurationError(
            f"Cannot listen on {host}:{port}: {reason}.", hint="Choose another --host or --port."
        ) from None
    return 0


async def _serve(options: SandboxOptions, host: str, port: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serve_sandbox(options, host, port, ready=_print_addresses)


def _print_addresses(sandbox: Sandbox) -> None:
    out, err, spec = stdout(), stderr(), sandbox.options.default_space
    assert spec
    err.print_text(f"Segment at {sandbox.segment_url}: every space has {spec.profiles:,} profiles ({spec.kind}).")
    err.print_text(f"Mavera  at {sandbox.mavera_url}. Ctrl-C ends both. For another terminal:\n")
    for name, value in (
        ("SEGMENT_BASE_URL", sandbox.segment_url),
        ("SEGMENT_TOKEN", sandbox.options.segment_token),
        ("SEGMENT_SPACE_ID", DEMO_SPACE_ID),
        ("MAVERA_BASE_URL", sandbox.mavera_url),
        ("MAVERA_API_KEY", sandbox.options.mavera_key),
    ):
        out.write(f"export {name}={value}")


def _fault(text: str) -> Fault:
    try:
        return Fault.from_json(json.loads(text))
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"--fault {text}: {error}.") from None
