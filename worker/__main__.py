"""`python -m worker`: runs a worker until SIGTERM or SIGINT; with `--check`, says whether one is alive on this host."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from worker.errors import ConfigurationError, StoreUnavailable
from worker.jobs import arq_worker
from worker.jobs.store_factories import store_pool, worker_registry
from worker.printable import printable
from worker.settings import Settings, load_settings
from worker.store.connection.pool import closing

USAGE = "usage: python -m worker [--check]"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code: 0; 1 if `--check` finds no worker; 2 wrong usage or configuration."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments not in ([], ["--check"]):
            raise ConfigurationError(USAGE)
        settings = load_settings()
        if arguments == ["--check"]:
            return asyncio.run(check(settings))
        configure_logging(settings)
        arq_worker.run(settings)
    except (ConfigurationError, StoreUnavailable) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def check(settings: Settings) -> int:
    """0 if a worker on this very host has shown signs of life, else 1, with a sentence."""
    async with closing(store_pool(settings, patience_s=2)) as pool:
        alive = await worker_registry(pool, settings).alive(socket.gethostname())
    print(f"alive: {', '.join(worker.name for worker in alive)}" if alive else "no worker is alive on this host")
    return 0 if alive else 1


class PrintableFormatter(logging.Formatter):
    """Makes each line printable: messages quote what a server said, and a terminal may show them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def configure_logging(settings: Settings) -> None:
    """Plain lines on standard error. arq's own lines are kept to warnings: ours say the same of each job."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler])
    for noisy in ("arq", "asyncio", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
