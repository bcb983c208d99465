"""Which files may be read. A request comes through Redis, and whoever can write there must not make a worker read any.

So a worker opens only files under its `FILES_DIR`; a process that runs its own user's sync opens whatever that user
may, also standard input.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from worker.errors import ResumableStop

STANDARD_INPUT = "-"

Opener = Callable[[str], FileIO]
"""Opens the file that a request names, for reading. Raises ResumableStop with a hint."""


def anywhere(file: str) -> FileIO:
    """Opens what the user of this very process has named; `-` is standard input."""
    if file == STANDARD_INPUT:
        return open(0, "rb", buffering=0, closefd=False)
    return _opened(file, Path(file), pipes=True)


def under(directory: Path | None) -> Opener:
    """Opens files under `directory` (None: none at all), wherever a link leads; a relative name begins there."""

    def opener(file: str) -> FileIO:
        if directory is None:
            raise ResumableStop(
                "file_forbidden",
                f"File {file}: the workers may not read files",
                hint="Set FILES_DIR where the workers run to the directory that has the file.",
            )
        path = Path(os.path.realpath(directory / file))
        if not path.is_relative_to(os.path.realpath(directory)):
            raise ResumableStop(
                "file_forbidden",
                f"File {file}: it is not under the workers' FILES_DIR",
                hint="Set FILES_DIR where the workers run to a directory that has the file, or start another sync "
                "with a name under FILES_DIR.",
            )
        return _opened(file, path, pipes=False)

    return opener


def _opened(file: str, path: Path, *, pipes: bool) -> FileIO:
    """Opens `path`. pipes: whether it may be something that is no file on a disk and can be read but once."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) or not (pipes or stat.S_ISREG(mode)):
            kind = "a directory" if stat.S_ISDIR(mode) else "not an ordinary file"
            raise ResumableStop("file_unreadable", f"File {file}: it is {kind}")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ResumableStop(
            "file_missing",
            f"File {file}: there is no such file on the machine that reads it",
            hint="Put the file there.",
        ) from None
    except OSError as error:
        raise unreadable(file, error) from None


def unreadable(file: str, error: OSError) -> ResumableStop:
    """What follows from an error of the system."""
    reason = os.strerror(error.errno) if error.errno else "it cannot be read"
    return ResumableStop("file_unreadable", f"File {file}: {reason}")
