"""Where the command line writes: results to standard output, everything else to standard error.

Whatever a view prints is made printable here, at the last step, so that no view can forget it: values of profiles, what
Mavera and Segment answer, and file names may hold sequences that steer a terminal.
A reader that has gone (`| head -1`) or was never there (`2>&-`) is no error: what is left to write goes nowhere, and
the command goes on to its exit code. A result that cannot be written (a full disk) is one; a remark that cannot is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import itertools
import logging
import os
import sys
import termios
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from worker.errors import ConfigurationError
from worker.printable import printable

WIDE = 1_000
"""Columns to write for when nothing says how wide the output is: a file, a pipe. No table needs as many."""


class Screen(Console):
    """A console that survives its reader, and takes every text as it is: no markup, no highlighting.

    vital: whether what cannot be written is an error; ConfigurationError then.
    """

    def __init__(self, stream: IO[str] | None, *, vital: bool = False) -> None:
        self._vital = vital
        if stream is None:  # closed before this process began
            stream = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that it cannot show is no reason to stop
        super().__init__(
            file=stream,
            width=None if stream.isatty() or "COLUMNS" in os.environ else WIDE,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=False,
        )
        self.is_tty = stream.isatty()  # `is_terminal` is what FORCE_COLOR says
        self.live = self.is_tty and not self.is_dumb_terminal

    def on_broken_pipe(self) -> None:
        """Writes into nothing from now on, what is left in the stream's buffer too."""
        self.quiet = True
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.file.fileno())
        os.close(nothing)

    def say(self, text: str, style: str = "") -> None:
        """A sentence, or several lines; on a terminal wrapped, in a file left as it is.

        Lines that begin with two blanks are commands to be copied: they are never wrapped.
        """
        for whole, lines in itertools.groupby(printable(text).split("\n"), lambda line: line.startswith("  ")):
            with self._writing():
                self.print(Text("\n".join(lines), style=style), soft_wrap=whole or not self.is_tty)

    def write(self, text: str) -> None:
        """Text for programs: as it is, whatever the width; on a terminal it is made printable."""
        with self._writing():
            self.out(printable(text) if self.is_tty else text, highlight=False)

    def write_json(self, document: Mapping[str, object] | Iterable[Mapping[str, object]]) -> None:
        """One JSON document: on several lines for people at a terminal, else on one line, for logs."""
        from worker.documents.json_format import format_json

        self.write(format_json(document, one_line=not self.is_tty))

    def put(self, *renderables: RenderableType) -> None:
        """Tables and texts, one below the other; texts wrapped as in `say`."""
        for renderable in renderables:
            with self._writing():
                self.print(renderable, soft_wrap=isinstance(renderable, Text) and not self.is_tty)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The segments of something to print, each printable. What steers the terminal has segments of its own."""
        for segment in super().render(renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.on_broken_pipe()
            if self._vital:
                raise ConfigurationError(f"The result cannot be written: {error.strerror}.") from None


def stdout() -> Screen:
    """For results."""
    return Screen(sys.stdout, vital=True)


def stderr() -> Screen:
    """For progress and for people."""
    return Screen(sys.stderr)


def show_log(screen: Screen, level: str) -> None:
    """Log lines of the program from `level` on, and errors of its libraries, go to the screen.

    Written straight to standard error, they would tear a live display.
    """
    handler = _ScreenHandler(screen)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level="ERROR", handlers=[handler], force=True)
    logging.getLogger("segment_personas").setLevel(level)


class _ScreenHandler(logging.Handler):
    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        self._screen.say(self.format(record), "dim")


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
