"""Keeps the files that a worker reads open between pages and between jobs.

For an ordinary file this saves only a seek. A compressed file would have to be decompressed from its start for every
page, which in a long sync would soon take longer than a lease. A pipe can be read only once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from worker.segment.export_file.file_opener import Opener
from worker.segment.export_file.ndjson_file import FilePage, FilePosition, NdjsonFile

T = TypeVar("T")

IDLE_S = 60.0
"""Seconds for which a file is kept open for its next job. A deleted file occupies disk space until then."""


class OpenFiles:
    """The open files of one worker.

    Args:
        opener: Opens a file by its path.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._kept: dict[_OpenFile, asyncio.TimerHandle] = {}

    async def read(self, file: str, place: FilePosition | None) -> FilePage:
        """Reads the page of `file` at `place`; None is its first page. Raises ApiError."""
        opened = self._take(file, place)
        try:
            page = await opened.read()
        except asyncio.CancelledError:
            self._keep(opened)
            raise
        except BaseException:
            opened.close()
            raise
        if page.following:
            self._keep(opened)
        else:
            opened.close()
        return page

    def close(self) -> None:
        """Closes all files."""
        for opened in list(self._kept):
            self._forget(opened)
            opened.close()

    def _take(self, file: str, place: FilePosition | None) -> _OpenFile:
        """Returns the open file that is at this place or nearest before it; otherwise one that is opened later."""
        fitting = [opened for opened in self._kept if opened.file == file and opened.can_serve(place)]
        if not fitting:
            return _OpenFile(file, place, self._opener)
        nearest = max(fitting, key=lambda opened: opened.place.offset if opened.place else 0)
        self._forget(nearest)
        nearest.place = place
        return nearest

    def _keep(self, opened: _OpenFile) -> None:
        self._kept[opened] = asyncio.get_running_loop().call_later(IDLE_S, self._close_idle, opened)

    def _close_idle(self, opened: _OpenFile) -> None:
        if opened.can_be_reopened:
            self._forget(opened)
            opened.close()

    def _forget(self, opened: _OpenFile) -> None:
        self._kept.pop(opened).cancel()


class _OpenFile:
    """A file whose next page is at `place`. It is opened when that page is read."""

    def __init__(self, file: str, place: FilePosition | None, opener: Opener) -> None:
        self.file = file
        self.place = place
        self._opener = opener
        self._content: NdjsonFile | None = None
        self._reading: asyncio.Future[FilePage] | None = None

    @property
    def can_be_reopened(self) -> bool:
        """Whether no data is lost if this is closed and opened again. A pipe that is being opened is kept open."""
        opening = self._content is None and self._reading is not None and not self._reading.done()
        return not opening and not (self._content and self._content.is_pipe)

    def can_serve(self, place: FilePosition | None) -> bool:
        """Returns whether the file is at `place`, or can be read on from there."""
        if self.place == place:
            return True
        if self._reading or not (self.place and place):
            return False
        return self.place.version == place.version and self.place.offset < place.offset

    async def read(self) -> FilePage:
        """Reads the page at `place` and advances `place`. If the reader is cancelled, the next reader gets the page."""
        reading = self._reading = self._reading or self._begin()
        try:
            page = await asyncio.shield(reading)
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._reading = None
            raise
        self._reading, self.place = None, page.following
        return page

    def close(self) -> None:
        """Closes the file when no read is in progress."""
        if self._reading and not self._reading.done():
            self._reading.add_done_callback(lambda _: self._close())
        else:
            self._close()

    def _begin(self) -> asyncio.Future[FilePage]:
        """Reads the page in a thread of the executor, or in a new thread if the read could block forever."""
        if self._content is None or self._content.is_pipe:
            return _in_own_thread(self._read)
        return asyncio.get_running_loop().run_in_executor(None, self._read)

    def _close(self) -> None:
        if self._reading:
            self._reading.exception()  # marks it as retrieved, so that asyncio does not report it
        if self._content:
            self._content.close()

    def _read(self) -> FilePage:
        if self._content is None:
            self._content = NdjsonFile(self.file, self._opener, self.place)
        return self._content.page(self.place)


def _in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Runs `work` in a daemon thread, so that the process can end while it is blocked."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            deliver(future.set_exception, error)
        else:
            deliver(future.set_result, result)

    def deliver(setter: Callable[[Any], None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            loop.call_soon_threadsafe(setter, outcome)

    threading.Thread(target=run, name="file reader", daemon=True).start()
    return future
