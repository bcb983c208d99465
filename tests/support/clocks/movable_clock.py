"""A clock that a test moves, for a server process that runs under libfaketime."""

from __future__ import annotations

from pathlib import Path

from tests.support.servers.redis_server import faketime_library


class MovableClock:
    """The clock of a server: `set` moves it by so many seconds from the true time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        self._file.write_text(f"{seconds:+d}s\n")

    @property
    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": faketime_library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
