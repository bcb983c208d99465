"""Reads `SPACES_FILE` and the files of its secrets, and reads them again when one of them changes.

A new version that cannot be used changes nothing: the version that was read last stays in use, and the log says once
what is wrong, line by line.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from worker.environment import file_identity, read_secret_file
from worker.errors import ConfigurationError
from worker.spaces.mistakes import MalformedSpaces, Mistake, describe_mistakes
from worker.spaces.spaces_file import MAX_TEXT, Fallbacks, SpacesFile, parse_spaces

log = logging.getLogger("segment_personas.spaces")

LOOK_S = 1.0
"""Seconds between two checks of the files."""

FIX = "`segment-personas spaces check` checks the file."


class WatchedSpacesFile:
    """The present content of a spaces file.

    Args:
        path: Of the file.
        fallbacks: What the environment has.
        needs_secrets: As of `parse_spaces`.
        clock: Returns monotonic seconds.

    Attributes:
        version: Counts the versions that were read.
        problem: Why the newest version of the file is not used; empty if it is.

    Raises:
        ConfigurationError: The file cannot be used at the start.
    """

    def __init__(
        self,
        path: Path,
        fallbacks: Fallbacks,
        *,
        needs_secrets: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.version = 1
        self.problem = ""
        self._fallbacks = fallbacks
        self.needs_secrets = needs_secrets
        self._clock = clock
        self._seen: dict[Path, tuple[int, ...]] = {}
        try:
            self._file = self._read()
        except MalformedSpaces as error:
            raise ConfigurationError(describe_mistakes(path, error.mistakes), hint=FIX) from None
        self._look_at = clock() + LOOK_S

    def current(self) -> SpacesFile:
        """Returns the newest version that can be used. Looks at the files at most once a second."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._reread()
        return self._file

    def _reread(self) -> None:
        if all(file_identity(path) == seen for path, seen in self._seen.items()):
            return
        try:
            self._file = self._read()
        except MalformedSpaces as error:
            self.problem = describe_mistakes(self.path, error.mistakes)
            log.error("%s\nThe version that was read last stays in use.", self.problem)  # noqa: TRY400 - a traceback says nothing more
        else:
            self.problem = ""
            self.version += 1
            log.info("read %s: %s", self.path, self._file.summary)

    def _read(self) -> SpacesFile:
        """Raises MalformedSpaces. Notes what each file was before it is read, so that no later change is missed."""
        before = {path: file_identity(path) for path in self._seen}
        self._seen = {}
        try:
            found = read_spaces(
                self.path,
                self._fallbacks,
                needs_secrets=self.needs_secrets,
                before=lambda path: self._seen.update({path: file_identity(path)}),
            )
        except MalformedSpaces:
            self._seen = before | self._seen  # the version in use is of these files
            raise
        if self.needs_secrets and found.unprotected_warning:
            log.warning("%s: %s", self.path, found.unprotected_warning)
        return found


def read_spaces(
    path: Path, fallbacks: Fallbacks, *, needs_secrets: bool = True, before: Callable[[Path], object] = lambda _: None
) -> SpacesFile:
    """Reads a spaces file as `parse_spaces` does.

    Args:
        path: Of the file.
        fallbacks: What the environment has.
        needs_secrets: As of `parse_spaces`.
        before: Called with each file before it is opened.

    Raises:
        MalformedSpaces: The file cannot be read, or cannot be used.
    """
    before(path)
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_TEXT + 1)
    except UnicodeDecodeError:
        raise MalformedSpaces([Mistake(1, "", "the file is not UTF-8 text")]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this cannot be a file name"
        mistake = Mistake(1, "", f"the file cannot be read ({reason})", "Create it, or correct SPACES_FILE.")
        raise MalformedSpaces([mistake]) from None

    def read_secret(name: str) -> str:
        secret = path.parent / name  # a relative name begins at the directory of the spaces file
        before(secret)
        return read_secret_file(str(secret))

    return parse_spaces(text, read_secret, fallbacks, needs_secrets=needs_secrets)
