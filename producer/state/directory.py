"""The state directory: where it is, whether this user can use it, and the names of the files in it.

It holds which persona belongs to which cluster, and purchases in progress, so only its owner may read it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import ConfigurationError, PersonasError

APP = "segment-personas"
VARIABLE = "SEGMENT_PERSONAS_HOME"
FORMAT = 1
"""Format of the directory. A version that cannot use the files of this one writes a higher number."""

LONGEST_SOCKET_PATH = 100
"""Bytes of a socket's path that every system accepts; Linux takes 107, macOS 103."""


class StateUnusable(ConfigurationError):
    """The state directory cannot be used, or its server does not start."""

    code = "state_unusable"


class StateBusy(PersonasError):
    """Another command uses the state, or a sync is under way; nothing was started or changed."""

    code = "state_busy"
    temporary = True


@dataclass(frozen=True)
class StateDirectory:
    """Names the files of a state directory.

    Attributes:
        path: The directory, absolute.
    """

    path: Path

    @property
    def data(self) -> Path:
        """The directory of the server's append-only file."""
        return self.path / "data"

    @property
    def log(self) -> Path:
        """The log of the server."""
        return self.path / "server.log"

    @property
    def socket(self) -> Path:
        """The socket of the server: in the directory, or in a private one of this user if the path is too long."""
        inside = self.path / "server.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
            return inside
        name = hashlib.blake2b(os.fsencode(self.path), digest_size=8).hexdigest()
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        if len(os.fsencode(base)) > LONGEST_SOCKET_PATH // 2:
            base = Path("/tmp")
        return base / f"{APP}-{os.geteuid()}" / f"{name}.sock"

    def lock(self, name: str) -> Path:
        """Returns the lock file `name`."""
        return self.path / f"{name}.lock"

    @property
    def has_state(self) -> bool:
        """Whether anything was ever kept here.

        Raises:
            StateUnusable: It belongs to another user, this user may not look, or the path leads through a file.
        """
        with explain_os_errors(self.path):
            try:
                return stat.S_ISDIR(self.data.stat().st_mode)
            except FileNotFoundError:
                return False
            except PermissionError:
                _check_owner(self.path)
                raise

    def prepare(self) -> None:
        """Makes the directory if it is missing, and checks whose it is and which version uses it.

        Raises:
            StateUnusable: It belongs to another user, cannot be made, or is of a newer version.
        """
        with explain_os_errors(self.path):
            _private_directory(self.path)
            if self.socket.parent != self.path:
                _private_directory(self.socket.parent)
            file = self.path / "format"
            text = file.read_text().strip() if file.exists() else ""
            if not text:
                _write(file, str(FORMAT))
            elif not text.isdecimal() or int(text) > FORMAT:
                raise StateUnusable(
                    f"{self.path}: a newer version of {APP} uses this state directory (format {text[:20]})",
                    hint=f"Install that version, or set {VARIABLE} to another directory.",
                )

    def check_can_be_made(self) -> None:
        """Raises StateUnusable if the directory cannot be used, or is missing and cannot be made. Creates nothing."""
        with explain_os_errors(self.path):
            found = next(path for path in (self.path, *self.path.parents) if path.exists())
            if found == self.path:
                _check_owner(found)
            if not os.access(found, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def check_writable(self) -> None:
        """Raises StateUnusable if nothing can be written, such as on a full disk."""
        probe = self.path / "probe"
        with explain_os_errors(self.path):
            try:
                _write(probe, " " * 65_536)
            finally:
                probe.unlink(missing_ok=True)


def state_directory(chosen: Path | None = None) -> StateDirectory:
    """Returns the state directory: the chosen one, or the usual one of this platform and user. Nothing is created.

    Raises:
        StateUnusable: The user has no home directory.
    """
    path = Path()
    # Both expand `~`, and raise RuntimeError if neither HOME nor the user database has a home directory.
    with contextlib.suppress(RuntimeError):
        if chosen is None:
            from platformdirs import user_state_path

            path = user_state_path(APP, appauthor=False)
        else:
            path = Path(os.path.abspath(chosen.expanduser()))
    if not path.is_absolute():
        raise StateUnusable(
            "This user has no home directory for the state of syncs",
            hint=f"Set {VARIABLE} to a directory that lasts, or set REDIS_URL.",
        )
    return StateDirectory(path)


@contextlib.contextmanager
def explain_os_errors(path: Path) -> Iterator[None]:
    """Turns an error of the operating system about the directory into a StateUnusable that says what to do."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason, advice = "Not a directory", "Remove the file of that name"
        else:
            reason, advice = error.strerror or type(error).__name__, "Make it writable, or free some disk space"
        raise StateUnusable(
            f"{path}: {reason}. Without REDIS_URL this directory keeps the state of syncs; nothing was started",
            hint=f"{advice}, or set {VARIABLE} to another directory that lasts, or set REDIS_URL.",
        ) from None


def _private_directory(path: Path) -> None:
    """Makes a directory that only this user can enter. Raises StateUnusable, OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_owner(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)


def _check_owner(path: Path) -> None:
    """Raises StateUnusable if a directory belongs to another user, OSError."""
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise StateUnusable(
            f"{path}: this state directory belongs to {_user_name(owner)}, and you are {_user_name(os.geteuid())}",
            hint=f"Run the command as its owner, or set {VARIABLE} to a directory of your own.",
        )


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"the user {user_id}"
