"""A fork server for workers: one process that has imported all that a worker needs forks each of them from itself.

Each worker is a process like any other, with its own environment and log, and is really killed, frozen and told to
stop. It only saves most of a second of imports, of which the tests would otherwise pay hundreds. What
`python -m worker` does before that is not tested with it.

Each worker has a supervisor, the process between, which waits for it and reports how it ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

_MOST = 1 << 17
"""Bytes of a request: in essence the environment."""


class ForkServer:
    """Runs until `close`, or until whoever has started it is gone."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen((sys.executable, "-m", __name__), stdin=theirs)

    def start(self, plan: str, env: Mapping[str, str], log_fd: int) -> Child:
        """Starts a worker that writes to `log_fd`. plan: how it ends, see `tests.chaos.points`."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            request = json.dumps({"plan": plan, "env": dict(env)}).encode()
            socket.send_fds(self._line, [request], [theirs.fileno(), log_fd])
        return Child(mine)

    def close(self) -> None:
        self._line.close()
        self._process.wait(20)


class Child:
    """A worker from the fork server; what the tests use of `subprocess.Popen`."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.returncode: int | None = None
        self.pid = int(line.recv(_MOST))

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; if a signal ended it, that as a negative number. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._line, select.POLLIN)
            if not poll.poll(None if timeout is None else timeout * 1000):
                raise subprocess.TimeoutExpired("worker", timeout or 0)
            self.returncode = int(self._line.recv(_MOST))
            self._line.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """The fork server itself; its standard input is the line on which it is asked for workers."""
    from tests.chaos import worker_process

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for supervisors
    with socket.socket(fileno=os.dup(0)) as asked:
        while True:
            request, fds, _, _ = socket.recv_fds(asked, _MOST, 2)
            if not request:
                return
            if os.fork() == 0:
                break
            for fd in fds:
                os.close(fd)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line, log = fds
    pid = os.fork()
    if pid:
        _supervise(socket.socket(fileno=line), pid)
    os.close(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for standard in (1, 2):
        os.dup2(log, standard)
    given = json.loads(request)
    os.environ.clear()
    os.environ.update(given["env"])
    sys.exit(worker_process.run(given["plan"]))


def _supervise(line: socket.socket, pid: int) -> None:
    line.send(str(pid).encode())
    _, status = os.waitpid(pid, 0)
    line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
