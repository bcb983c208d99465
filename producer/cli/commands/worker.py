"""`segment-personas worker`: a worker for the Redis of `REDIS_URL`, or without one for the state directory."""

from __future__ import annotations

import asyncio
import logging

from producer.cli.connect import has_worker, worker_lock
from producer.cli.environment.command_settings import found_settings
from producer.cli.terminal import stderr
from producer.state.directory import StateDirectory
from producer.state.pool import directory_of, joined_server, server_pool
from worker.__main__ import main as run_redis_worker
from worker.__main__ import obey_sigterm
from worker.jobs.process.liveness import tune_garbage_collector
from worker.jobs.process.worker_process import required_tokens, serve_until_signal
from worker.log_format import configure_logging
from worker.segment.export_file import open_any_file
from worker.settings import Settings
from worker.store.connection.pool import closing

log = logging.getLogger("segment_personas.worker")


def run_worker(*, check: bool, probe: str | None) -> int:
    """Runs a worker until SIGTERM or SIGINT, or with `check` says whether one runs here; returns the exit code.

    Raises:
        ConfigurationError: A setting is missing or malformed, or the state directory cannot be used.
    """
    found = found_settings()
    settings = found.settings
    if found.env_file.warning:
        stderr().print_text(found.env_file.warning, "yellow")
    if found.file_error:
        raise found.file_error
    if settings.redis_url is not None or found.problems or probe == "alive":
        return run_redis_worker([*(["--check"] if check else []), *([probe] if probe else [])])
    directory = directory_of(settings)
    if check:
        is_ready = has_worker(directory)
        print(f"ready: a worker serves {directory.path}" if is_ready else f"no worker serves {directory.path}")
        return 0 if is_ready else 1
    settings.require(*required_tokens(settings))
    obey_sigterm()
    configure_logging(settings.log_level, settings.log_format)
    tune_garbage_collector()
    asyncio.run(_serve(settings, directory))
    return 0


async def _serve(settings: Settings, directory: StateDirectory) -> None:
    async with joined_server(directory) as server, closing(server_pool(server, settings)) as pool:
        with worker_lock(directory):
            log.info("REDIS_URL is not set: the state of syncs is kept in %s", directory.path)
            await serve_until_signal(settings, pool, opener=open_any_file, skips_pipes=True)
