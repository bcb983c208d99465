"""Commands that tests run on the files of the repository."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(*command: str, cwd: Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command without the flags of the `make` that may be running this test."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
