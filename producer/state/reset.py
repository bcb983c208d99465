"""Removes the state of a directory, while no command can use it.

The lock files and the format stay: a command may be waiting for a lock, and a lock file that is made again would be
another lock. A purchase may be among what is removed, so the next server counts as one that has lost data.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time

from producer.state import keeper
from producer.state.directory import StateBusy, StateDirectory, StateUnusable, explain_os_errors
from producer.state.server import HAND_OVER_S

LOOK_S = 0.15
"""Seconds between two checks; longer than those of the keeper."""
LEAVE_S = 1.0
"""Seconds that a command which is ending gets to leave the directory."""


def reset_directory(directory: StateDirectory) -> None:
    """Stops the server of the directory and removes what it keeps.

    Raises:
        StateBusy: Another command uses the directory.
        StateUnusable: It belongs to another user or a newer version, or cannot be changed.
    """
    directory.prepare()
    with explain_os_errors(directory.path), contextlib.ExitStack() as stack:
        _lock_out_commands(directory, stack)
        keeper.RunFile(str(directory.path)).note_reset()
        if directory.data.exists():
            shutil.rmtree(directory.data)
        for path in (directory.log, directory.socket, directory.path / "probe"):
            path.unlink(missing_ok=True)


def _lock_out_commands(directory: StateDirectory, stack: contextlib.ExitStack) -> None:
    """Returns when no command, keeper or server uses the directory, and none can until the end of the stack."""
    if not _take(directory, "memory", stack):
        raise _busy(directory)
    ends_at = time.monotonic() + HAND_OVER_S
    while time.monotonic() < ends_at:
        with contextlib.ExitStack() as attempt:
            if not _take(directory, "users", attempt, wait_s=LEAVE_S):
                # Commands share this lock. The keeper, which does not, has it while it stops the server.
                if _take(directory, "users", attempt, shared=True):
                    raise _busy(directory)
            elif _take(directory, "keeper", attempt):
                if _take(directory, "server", attempt):
                    stack.push(attempt.pop_all())
                    return
                keeper.ask(str(directory.socket), b"SHUTDOWN NOSAVE")  # a server whose keeper was killed
        time.sleep(LOOK_S)  # so that the keeper can take the first lock
    raise StateUnusable(
        f"{directory.path}: the server of the state directory does not stop",
        hint=f"Read {directory.log}, and run the command again.",
    )


def _take(
    directory: StateDirectory, name: str, stack: contextlib.ExitStack, *, shared: bool = False, wait_s: float = 0.0
) -> bool:
    """Takes a lock until the end of the stack; arguments as of `keeper.acquire`."""
    lock = keeper.acquire(str(directory.lock(name)), shared=shared, wait_s=wait_s)
    if lock is not None:
        stack.callback(os.close, lock)
    return lock is not None


def _busy(directory: StateDirectory) -> StateBusy:
    return StateBusy(
        f"{directory.path}: another command uses this state directory. Nothing was removed",
        hint="Wait until it has ended, or stop it, such as a `segment-personas worker`. Then run this command again.",
    )
