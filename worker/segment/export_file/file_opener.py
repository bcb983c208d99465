"""Opens the files of requests. Requests come through Redis, and a client must not make a worker read any file.

A worker opens only files under its `FILES_DIR`. A process that runs a sync of its own user opens every file that this
user may read, and standard input.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import FileIO
from pathlib import Path

from worker.errors import ResumableStop

STANDARD_INPUT = "-"


def is_of_one_process(file: str) -> bool:
    """Returns whether only the process that names this file can read it: its standard input, or a descriptor of it."""
    return file == STANDARD_INPUT or file.startswith(("/dev/", "/proc/"))


Opener = Callable[[str], FileIO]
"""Opens the file that a request names, for reading. Raises ResumableStop with a hint."""


def open_any_file(file: str) -> FileIO:
    """Opens a file that the user of this process has named; `-` is standard input. Raises ResumableStop."""
    if file == STANDARD_INPUT:
        return open(0, "rb", buffering=0, closefd=False)
    return _opened(file, Path(file), pipes=True)


def folder_opener(directory: Path | None) -> Opener:
    """Returns an opener that opens only files under a directory, after links are resolved.

    Args:
        directory: The directory, to which names are relative; None permits no file.
    """

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
    """Opens `path`.

    Args:
        file: The name that the user gave, for messages.
        path: Where the file is.
        pipes: Whether it may be a pipe or a device, which can be read only once.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode) or not (pipes or stat.S_ISREG(mode)):
            kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise ResumableStop("file_unreadable", f"File {file}: it is {kind}")
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise ResumableStop(
            "file_missing",
            f"File {file}: it does not exist on the machine that reads it",
            hint="Put the file there.",
        ) from None
    except OSError as error:
        raise unreadable_file_error(file, error) from None


def unreadable_file_error(file: str, error: OSError) -> ResumableStop:
    """Returns the error for a failure of the operating system."""
    reason = os.strerror(error.errno) if error.errno else "it cannot be read"
    return ResumableStop(
        "file_unreadable", f"File {file}: {reason}", hint="Make it readable for the user of the process that reads it."
    )
