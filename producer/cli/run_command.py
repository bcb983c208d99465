"""Runs a command of the command line with the settings of this process, until it ends or a signal stops it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from producer.cli.environment.command_settings import command_settings
from producer.cli.exit_codes import INTERRUPTED
from producer.cli.terminal import Screen, show_log, stderr
from worker.settings import Settings

Command = Callable[[Settings, Screen], Coroutine[Any, Any, int]]
"""What a command does with its settings and a screen for messages; it returns the exit code."""


def run_command(
    command: Command,
    settings: Settings | None = None,
    *,
    uses_sandbox: bool = False,
) -> int:
    """Runs a command. SIGTERM stops it as Ctrl-C does, and so does a second Ctrl-C.

    Args:
        command: What to run; it returns the exit code.
        settings: Its settings; None: those of `command_settings`.
        uses_sandbox: As of `command_settings`.
    """
    err = stderr()
    if settings is None:
        settings = command_settings(err, uses_sandbox=uses_sandbox)
    show_log(err, settings.log_level if "log_level" in settings.model_fields_set else "ERROR")

    async def main() -> int:
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as in the background of a script
                asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        try:
            return await command(settings, err)
        except asyncio.CancelledError:
            return INTERRUPTED  # before there was anything to follow

    return asyncio.run(main())
