"""The command line as a process, fed and read by the event loop of the test, so that a sandbox can serve in it.

Processes come from the fork server, or with `real=True` from a new interpreter: for tests of how the program starts.
Nothing here waits for a limited time: only the timeout of the test ends it, so that a slow machine fails no test.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pty
import signal
import sys
import termios
from asyncio.subprocess import PIPE
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.processes.fork_server import Child, shared_fork_server


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


class Command:
    """A running `segment-personas …`. `await until(text)` waits for its standard error, `await end()` for its end."""

    def __init__(self, process: Child | NewProcess, out: asyncio.StreamReader, err: asyncio.StreamReader) -> None:
        self._process = process
        self._stdout, self._stderr = out, err
        self._out = self._err = ""

    @classmethod
    async def start(cls, *arguments: str, env: Mapping[str, str], real: bool = False, kill_at: str = "") -> Command:
        """Starts a command. real: in a new interpreter. kill_at: how it ends, a plan of `tests.chaos.points`."""
        if real:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "producer", *arguments), env=dict(env), stdout=PIPE, stderr=PIPE
            )
            assert process.stdout
            assert process.stderr
            return cls(NewProcess(process), process.stdout, process.stderr)
        (out, out_fd), (err, err_fd) = [await _pipe() for _ in range(2)]
        fds = (os.open(os.devnull, os.O_RDONLY), out_fd, err_fd)
        return cls(await _fork(arguments, env, fds, kill_at=kill_at), out, err)

    async def until(self, text: str) -> None:
        while text not in self._err:
            assert await self._read(), f"{text!r} never came: {self._err}"

    @property
    def err(self) -> str:
        """What it has written to standard error so far."""
        return self._err

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ctrl-C, or another signal."""
        self._process.send_signal(number)

    async def printed(self, lines: int) -> list[str]:
        """So many lines of its standard output."""
        found = [(await self._stdout.readline()).decode() for _ in range(lines)]
        self._out += "".join(found)
        return [line.rstrip("\n") for line in found]

    async def end(self) -> Done:
        rest = asyncio.create_task(self._stdout.read())
        while await self._read():
            pass
        return Done(await self._process.ended(), self._out + (await rest).decode(), self._err)

    async def _read(self) -> bool:
        read = await self._stderr.read(1 << 16)
        self._err += read.decode()
        return bool(read)


class NewProcess:
    """A process of a new interpreter, with the methods of `Child` that a command needs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal, also to a process that has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        return await self._process.wait()


async def _pipe() -> tuple[asyncio.StreamReader, int]:
    """The reader of a pipe, and the file descriptor of its other end."""
    read, write = os.pipe()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read, "rb", 0)
    )
    return reader, write


async def _fork(arguments: Sequence[str], env: Mapping[str, str], fds: tuple[int, int, int], **options: Any) -> Child:
    """A command from the fork server; closes the file descriptors, which are now its own."""
    process = await asyncio.to_thread(shared_fork_server().start_command, arguments, env, fds, **options)
    for fd in set(fds):
        os.close(fd)
    return process


@contextlib.contextmanager
def logging_as_it_was() -> Iterator[None]:
    """For tests that run the command line in their own process: it sets up logging for all of it."""
    root, ours = logging.getLogger(), logging.getLogger("segment_personas")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        ours.setLevel(levels[1])


async def cli(*arguments: str, env: Mapping[str, str]) -> Done:
    """Runs a command to its end."""
    return await (await Command.start(*arguments, env=env)).end()


async def shell(line: str, env: Mapping[str, str], *, real: bool = False) -> Done:
    """Runs a line of bash in which `$P` is `segment-personas`; the exit code is that of a pipe's first command."""
    if real:
        env = {**env, "P": f"{sys.executable} -m producer"}
    else:
        env = {**env, "P": "segment-personas", "PATH": f"{shared_fork_server().bin}:{env['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}"),
        env=env,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


class Terminal:
    """A command on its own terminal: both outputs go there, and keys come from there."""

    def __init__(self, process: Child, master: int) -> None:
        self._process = process
        self._master = master
        self._shown = b""
        self._news = asyncio.Event()
        self._gone = False
        self._echoed = True
        asyncio.get_running_loop().add_reader(master, self._read)

    @classmethod
    async def start(cls, *arguments: str, env: Mapping[str, str], columns: int = 80) -> Terminal:
        master, slave = pty.openpty()
        os.set_blocking(master, False)
        screen = {"TERM": "xterm-256color", "COLUMNS": str(columns), "LINES": "40"}
        process = await _fork(arguments, {**env, **screen}, (slave, slave, slave), session=True)
        return cls(process, master)

    @property
    def shown(self) -> str:
        """Everything that was written, with the sequences that steer a terminal."""
        return self._shown.decode(errors="replace")

    @property
    def echoes(self) -> bool:
        """Whether what is typed is shown; after the end, as the command left it."""
        if not self._gone:
            self._echoed = bool(termios.tcgetattr(self._master)[3] & termios.ECHO)
        return self._echoed

    async def until(self, text: str) -> None:
        while text not in self.shown:
            assert not self._gone, f"{text!r} never came: {self.shown}"
            await self._news.wait()
            self._news.clear()

    def type(self, text: str) -> None:
        """Presses keys."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    async def end(self) -> Done:
        code = await self._process.ended()
        while not self._gone:
            await self._news.wait()
            self._news.clear()
        return Done(code, self.shown, "")

    def _read(self) -> None:
        try:
            read = os.read(self._master, 1 << 16)
        except BlockingIOError:
            return
        except OSError:  # the other side is closed
            read = b""
        if not read:
            asyncio.get_running_loop().remove_reader(self._master)
            _ = self.echoes
            os.close(self._master)
            self._gone = True
        self._shown += read
        self._news.set()
