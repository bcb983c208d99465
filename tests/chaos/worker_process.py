"""`python -m tests.chaos.worker_process [PLAN]`: a worker like any other, but for how it ends.

SIGUSR1 makes it write the stack of each of its tasks to its log: what it hangs on, if it ever does.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from tests.chaos.points import arm
from worker.__main__ import main


def _write_stacks(*_: object) -> None:
    for loop in {task.get_loop() for task in asyncio.all_tasks()}:
        for task in asyncio.all_tasks(loop):
            task.print_stack(file=sys.stderr)


def run(plan: str) -> int:
    """Runs the worker and returns its exit code, if it ends in a way that has one."""
    signal.signal(signal.SIGUSR1, _write_stacks)
    if plan:
        arm(plan)
    return main([])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1] if len(sys.argv) > 1 else ""))
