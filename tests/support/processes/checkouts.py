"""Other versions of this program, checked out of the history beside the one under test."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes.fork_server import ForkServer, new_folder

ROOT = Path(__file__).parents[3]

VERSION_BEFORE = "f14bef1f7002f25c4dd274ca2355bf1ead6f96f8"
"""The commit whose formats version 0.1.0 has."""


@dataclass(frozen=True)
class Checkout:
    """A version of the program in a separate folder; it uses the packages of the version under test."""

    folder: Path

    @functools.cached_property
    def fork_server(self) -> ForkServer:
        """Forks workers of that version."""
        return ForkServer(new_folder(), self.folder)

    @property
    def worker(self) -> tuple[str, ...]:
        """The command that starts a worker of that version."""
        return ("sh", "-c", 'cd "$0" && exec "$1" -m worker', str(self.folder), sys.executable)

    def run(self, code: str, *arguments: str, env: dict[str, str]) -> str:
        """Runs Python code against that version; returns what it prints."""
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def checkout(commit: str, folder: Path) -> Checkout:
    """Puts the program as of a commit into a folder. Fails with a sentence if the history does not reach that far."""
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", commit, "worker", "producer"]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(
            f"the history of this clone does not hold commit {commit}, which these tests run beside the present one: "
            f"fetch all of it (git fetch --unshallow). git says: {done.stderr.decode().strip()}"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Checkout(folder)
