"""Claims that outlive a process without Redis: a file of open purchases, and a lock per space and account.

A sync in one process keeps its state in memory. What must not be lost with it is that a `POST` may be on its way: the
next process would find no persona and buy a second one. So each claim is written, and synced to the disk, before its
`POST` is sent, and taken out when the answer is definite. A purchase that was recorded shortly before is kept for a
while too, since Mavera may list it a little later. The files hold digests, references and persona ids, nothing else.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError, PersonasError

RECENT_S = 600.0
"""Seconds for which a purchase that was recorded is remembered. A clock that jumps costs a look-up at Mavera."""

_VERSION = 1
_MOST = 1000
"""Entries that are kept of each kind, the newest; a sync has at most 50 clusters."""


class SpaceBusy(PersonasError):
    """Another process syncs the space into the same account; nothing was started."""

    code = "space_busy"
    temporary = True


class StateUnusable(ConfigurationError):
    """The state directory or a file in it cannot be used."""

    code = "state_unusable"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path}: {reason}. Without REDIS_URL this directory keeps note of purchases under way, so that a run that "
            "is interrupted and started again does not buy twice; nothing was bought",
            hint="Set XDG_STATE_HOME to a directory that can be written to and that lasts, or set REDIS_URL.",
        )


def state_folder(environ: Mapping[str, str] = os.environ, *, platform: str = sys.platform) -> Path:
    """The program's folder in the user's state directory.

    Raises:
        ConfigurationError: The user has no home directory and `XDG_STATE_HOME` is not set.
    """
    base = environ.get("XDG_STATE_HOME", "")
    if base and os.path.isabs(base):
        return Path(base) / "segment-personas"
    home = environ.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        raise ConfigurationError("There is no home directory. Set XDG_STATE_HOME to a directory that lasts.")
    if platform == "darwin":
        return Path(home) / "Library" / "Application Support" / "segment-personas"
    return Path(home) / ".local" / "state" / "segment-personas"


class ClaimFile:
    """The open claims and recent purchases of one account, shared by the processes of one user.

    Args:
        folder: Where the files are; made if it is missing, for the user alone.
        account: Name of the account in keys, as of `account_name`.
        clock: Unix seconds.

    Raises:
        StateUnusable: The folder cannot be made or written to, or the file cannot be read.
    """

    def __init__(self, folder: Path, account: str, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._account = account
        self._path = folder / f"{account}.json"
        self._clock = clock
        with _explained(folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
        with self._changing():
            pass

    @property
    def claims(self) -> dict[str, dict[str, str]]:
        """The claims that no definite answer has ended: reference → `by` and `sync`."""
        return {
            name: {key: str(entry[key]) for key in ("by", "sync")} for name, entry in self._read()["claims"].items()
        }

    @property
    def settle_times(self) -> dict[str, float]:
        """For each claim, the seconds after which the settings of its claimant take its `POST` for lost."""
        return {name: float(entry.get("settle_s", 0.0)) for name, entry in self._read()["claims"].items()}

    @property
    def bought(self) -> dict[str, str]:
        """The purchases of the last minutes: reference → persona id."""
        return {name: entry["persona_id"] for name, entry in self._read()["bought"].items()}

    def open(self, reference: str, by: str, sync_id: str, settle_s: float) -> None:
        """Writes a claim to the disk; it is safe there when this returns.

        Args:
            reference: Of the persona.
            by: Name of the attempt.
            sync_id: The sync that buys it.
            settle_s: Seconds after which absence at Mavera is believed, for readers with other settings.
        """
        with self._changing() as state:
            state["claims"][reference] = {"by": by, "sync": sync_id, "at": int(self._clock()), "settle_s": settle_s}

    def close(self, reference: str, *, by: str | None = None, persona_id: str | None = None) -> None:
        """Ends a claim.

        Args:
            reference: Of the persona.
            by: Only the claim of this attempt; None: any claim.
            persona_id: The persona that was bought, or found to have been; None: none was.
        """
        with self._changing() as state:
            held = state["claims"].get(reference)
            if held and by in (None, held["by"]):
                del state["claims"][reference]
            if persona_id is not None:
                state["bought"][reference] = {"persona_id": persona_id, "at": int(self._clock())}

    def forget(self, reference: str) -> None:
        """Forgets a recent purchase: Mavera says that the persona is gone."""
        with self._changing() as state:
            state["bought"].pop(reference, None)

    @contextlib.contextmanager
    def lock(self, space_ids: Iterable[str]) -> Iterator[None]:
        """Holds the locks of spaces for the block. They end with the process, however it ends.

        Raises:
            SpaceBusy: Another process holds one.
        """
        with contextlib.ExitStack() as stack:
            for space_id in sorted(set(space_ids)):
                name = hashlib.blake2b(space_id.encode(), digest_size=8).hexdigest()
                path = self._folder / f"{self._account}-{name}.lock"
                with _explained(path):
                    held = stack.enter_context(_opened(path))
                    try:
                        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        pid = os.pread(held, 20, 0).decode(errors="replace").strip()
                        who = f"process {pid}" if pid.isdigit() else "another process"
                        raise SpaceBusy(
                            f"{who[0].upper()}{who[1:]} on this machine syncs {space_id} into the same Mavera account. "
                            "Nothing was started, because both would buy the same personas. "
                            "Try again when it has ended"
                        ) from None
                    os.ftruncate(held, 0)
                    os.pwrite(held, str(os.getpid()).encode(), 0)
            yield

    @contextlib.contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """The state, written when the block ends; no other process changes it meanwhile."""
        with _explained(self._path), _opened(self._folder / f"{self._account}.lock") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            state = self._read()
            yield state
            self._write(state)

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            state = {"v": _VERSION}
        except ValueError:
            state = None
        if not isinstance(state, dict) or not isinstance(state.get("v"), int):
            raise StateUnusable(self._path, "it cannot be read as JSON of this program")
        if state["v"] > _VERSION:
            raise StateUnusable(self._path, "a newer version of segment-personas has written it")
        now = self._clock()
        claims = _entries(state.get("claims"), "by", "sync")
        bought = {
            name: entry
            for name, entry in _entries(state.get("bought"), "persona_id").items()
            if abs(now - entry["at"]) <= RECENT_S
        }
        return {**state, "claims": claims, "bought": bought}

    def _write(self, state: Mapping[str, Any]) -> None:
        kept = {**state, **{kind: _newest(state[kind]) for kind in ("claims", "bought")}}
        temporary = self._path.with_suffix(".tmp")
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(json.dumps(kept, indent=1).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)
        with _opened(self._folder, os.O_RDONLY) as folder:
            os.fsync(folder)


def _entries(found: object, *words: str) -> dict[str, dict[str, Any]]:
    """The entries that have a time and these words; others are no entries of ours."""
    if not isinstance(found, dict):
        return {}
    return {
        name: entry
        for name, entry in found.items()
        if isinstance(entry, dict)
        and isinstance(entry.get("at"), int | float)
        and all(isinstance(entry.get(word), str) for word in words)
    }


def _newest(entries: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return dict(sorted(entries.items(), key=lambda item: item[1]["at"])[-_MOST:])


@contextlib.contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turns an error of the operating system into a sentence."""
    try:
        yield
    except OSError as error:
        raise StateUnusable(path, error.strerror or type(error).__name__) from None
