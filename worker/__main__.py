"""`python -m worker`: runs a worker until SIGTERM or SIGINT; with `--check`, says whether one runs on this host.

Everything that takes time to import is imported after the signal handlers are set: as the first process of a container,
a process without a handler ignores SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.settings import Settings

USAGE = "usage: python -m worker [--check [alive|ready]]"


def exit_immediately(number: int, frame: FrameType | None) -> None:
    """Ends a process that has not begun anything."""
    os._exit(128 + number)


def obey_sigterm() -> None:
    """Lets SIGTERM end this process, also as the first one of a container, until something else handles it."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, exit_immediately)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0; 1 if `--check` finds no worker; 2 wrong usage or configuration.

    `--check alive` asks for the sign of life of a worker process on this machine, whatever Redis does. `--check ready`,
    or only `--check`, asks Redis whether a worker of this host takes jobs.
    """
    obey_sigterm()
    from worker.errors import ConfigurationError, StoreUnavailable

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        match arguments:
            case []:
                return _run()
            case ["--check", "alive"]:
                return check_alive()
            case ["--check"] | ["--check", "ready"]:
                return _check_ready()
            case _:
                raise ConfigurationError(USAGE)
    except (ConfigurationError, StoreUnavailable) as error:
        print(*filter(None, (error, error.hint)), sep="\n", file=sys.stderr)
        return 4 if isinstance(error, StoreUnavailable) and not error.lasting else 2


def _run() -> int:
    from worker.jobs.process import worker_process
    from worker.log_format import configure_logging
    from worker.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    worker_process.run(settings)
    return 0


def check_alive() -> int:
    """0 if a worker process on this machine has renewed its file lately, else 1, with a sentence."""
    from worker.jobs.process.liveness import living_processes

    found = living_processes()
    print(f"alive: process {', '.join(map(str, found))}" if found else "no worker process is alive on this host")
    return 0 if found else 1


def _check_ready() -> int:
    import asyncio

    from worker.settings import load_settings

    return asyncio.run(check(load_settings()))


async def check(settings: Settings) -> int:
    """0 if Redis has seen a sign of life of a worker on this very host, else 1, with a sentence."""
    import socket

    from worker.jobs.space_directory import open_spaces
    from worker.jobs.store_factories import store_pool, worker_registry
    from worker.store.connection.pool import closing

    spaces = open_spaces(settings, needs_secrets=False)
    async with closing(store_pool(settings, max_wait_s=2)) as pool:
        registry = worker_registry(pool, settings, spaces.accounts if spaces else None)
        alive = await registry.living_workers(socket.gethostname())
    print(f"ready: {', '.join(worker.name for worker in alive)}" if alive else "no worker on this host is ready")
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
