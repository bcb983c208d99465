"""Checks whether git would commit a file with secrets."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Literal

_PATIENCE_S = 10.0


def git_status(path: Path) -> Literal["tracked", "not ignored", "safe"]:
    """Returns how git treats a file, which need not exist; "safe" without git or outside a repository.

    Args:
        path: The file.
    """
    if _git(path, "ls-files", "--error-unmatch") == 0:
        return "tracked"
    return "not ignored" if _git(path, "check-ignore", "--quiet") == 1 else "safe"


def ignore_in_git(path: Path) -> None:
    """Adds a file to the `.gitignore` beside it. Raises OSError."""
    ignored = path.parent / ".gitignore"
    text = ignored.read_text() if ignored.exists() else ""
    with ignored.open("a") as file:
        file.write(("\n" if text and not text.endswith("\n") else "") + f"{path.name}\n")


def _git(path: Path, *arguments: str) -> int | None:
    """Returns the exit code of a git command about a file; None if git cannot be run."""
    git = shutil.which("git")
    if git is None:
        return None
    command = (git, "-C", str(path.parent), *arguments, "--", path.name)
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_PATIENCE_S).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None
