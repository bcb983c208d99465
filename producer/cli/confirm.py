"""Asks the user at the terminal once, before credits are spent."""

from __future__ import annotations

import asyncio
import os
import sys
import termios

from producer.cli.terminal import Screen


async def confirm(err: Screen, question: str) -> bool:
    """Whether the answer is yes; anything else, and the end of the input, is no. Can be cancelled while it waits."""
    terminal = sys.stdin.fileno()
    termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed before the question does not answer it
    err.print(f"{question} [y/N] ", end="")
    loop = asyncio.get_running_loop()
    typed = asyncio.Event()
    loop.add_reader(terminal, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(terminal)
    return os.read(terminal, 1024).decode(errors="replace").strip().lower() in {"y", "yes"}
