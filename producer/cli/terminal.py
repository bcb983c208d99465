"""Output of the command line: results go to standard output, everything else to standard error.

All text is made printable here, at the last step, so that no view can forget it: values of profiles, answers of Mavera
and Segment, and file names may contain sequences that control a terminal.
A closed stream (`| head -1`, `2>&-`) is not an error: the rest of the output is discarded, and the command continues to
its exit code. A result that cannot be written for another reason, such as a full disk, is an error; a remark is not.
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
"""Columns of an output without a width, such as a file or a pipe. No table needs as many."""
NARROW = 110
"""Columns below which lists show short times and no counts."""
NARROWEST = 70
"""Columns below which lists show no times, and tables have no lines."""


class Screen(Console):
    """A console without markup and highlighting, which discards its output when the reader has gone.

    Args:
        stream: Where to write; None: it was closed before this process began.
        must_write: Whether output that cannot be written raises ConfigurationError.
    """

    def __init__(self, stream: IO[str] | None, *, must_write: bool = False) -> None:
        self._must_write = must_write
        if stream is None:
            stream = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # print ? for a character that it cannot show
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

    @property
    def can_ask(self) -> bool:
        """Whether the user sees a question and can answer it."""
        return self.is_tty and sys.stdin is not None and sys.stdin.isatty()

    def on_broken_pipe(self) -> None:
        """Discards all further output, and what is left in the stream's buffer."""
        self.quiet = True
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, self.file.fileno())
        os.close(nothing)

    def print_text(self, text: str, style: str = "") -> None:
        """Prints lines of text; wraps them on a terminal.

        Lines that begin with two spaces are commands to copy. They are never wrapped.

        Args:
            text: One or more lines.
            style: A style of rich, such as `dim` or `red`.
        """
        for whole, lines in itertools.groupby(printable(text).split("\n"), lambda line: line.startswith("  ")):
            with self._writing():
                self.print(Text("\n".join(lines), style=style), soft_wrap=whole or not self.is_tty)

    def write(self, text: str) -> None:
        """Writes text for programs, without wrapping; on a terminal it is made printable."""
        with self._writing():
            self.out(printable(text) if self.is_tty else text, highlight=False)

    def write_json(self, document: Mapping[str, object] | Iterable[Mapping[str, object]]) -> None:
        """Writes one JSON document: indented on a terminal, otherwise on one line."""
        from worker.documents.json_format import format_json

        self.write(format_json(document, one_line=not self.is_tty))

    def print_views(self, *renderables: RenderableType) -> None:
        """Prints tables and texts, one below the other; texts are wrapped as by `print_text`."""
        for renderable in renderables:
            with self._writing():
                self.print(renderable, soft_wrap=isinstance(renderable, Text) and not self.is_tty)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Renders to segments of printable text. Control sequences are in separate segments, which are kept."""
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
            if self._must_write:
                raise ConfigurationError(f"The result cannot be written: {error.strerror}.") from None


def stdout() -> Screen:
    """Returns the screen for results."""
    return Screen(sys.stdout, must_write=True)


def stderr() -> Screen:
    """Returns the screen for progress, hints and errors."""
    return Screen(sys.stderr)


def show_log(screen: Screen, level: str) -> None:
    """Shows log lines of this program from `level` on, and errors of its libraries, on the screen.

    Lines written directly to standard error would break a live display.
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
        self._screen.print_text(self.format(record), "dim")


async def confirm(err: Screen, question: str) -> bool:
    """Asks a question; returns True for `y` or `yes`, and False for anything else. Can be cancelled while it waits."""
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
