"""The entry of the program, for `segment-personas` and `python -m producer`.

It comes before everything that takes time to import: a Ctrl-C meanwhile ends the process quietly.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from producer import describe_foreign_worker


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def main() -> None:
    """Runs the command line and exits."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)  # until a command follows its syncs, and has its own
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _leave)  # as the first process of a container it would be ignored
    if problem := describe_foreign_worker():
        print(problem, file=sys.stderr)
        sys.exit(2)
    from producer.cli import app

    try:
        app.main()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # while the interpreter ends, Ctrl-C would print a traceback


if __name__ == "__main__":
    main()
