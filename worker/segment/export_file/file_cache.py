"""The files that the walks of one worker read, kept open from page to page and from walk to walk.

For an ordinary file that saves no more than a seek. But to go on in a compressed one means to uncompress all that
stands before, which in a long sync would soon take longer than a lease; and a pipe can be read only once.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from worker.segment.export_file.file_access import Opener
from worker.segment.export_file.ndjson_file import Content, FilePage, Place

T = TypeVar("T")

IDLE_S = 60.0
"""How long a file is kept open for its next walk: one that was deleted takes up its disk until then."""


class OpenFiles:
    """Files opened by `opener`."""

    def __init__(self, opener: Opener) -> None:
        self._opener = opener
        self._kept: dict[_OpenFile, asyncio.TimerHandle] = {}

    async def read(self, file: str, place: Place | None) -> FilePage:
        """The page of `file` at `place`; None: its first. Raises ApiError."""
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
        """Closes all of them."""
        for opened in list(self._kept):
            self._forget(opened)
            opened.close()

    def _take(self, file: str, place: Place | None) -> _OpenFile:
        """The open file that is at this place, or nearest before it; else one that will be opened."""
        fitting = [opened for opened in self._kept if opened.file == file and opened.fits(place)]
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
    """A file whose next page is at `place`; opened when that is read."""

    def __init__(self, file: str, place: Place | None, opener: Opener) -> None:
        self.file = file
        self.place = place
        self._opener = opener
        self._content: Content | None = None
        self._reading: asyncio.Future[FilePage] | None = None

    @property
    def can_be_reopened(self) -> bool:
        """Whether nothing is lost if this is closed and opened anew. A pipe may wait long to be opened, too."""
        opening = self._content is None and self._reading is not None and not self._reading.done()
        return not opening and not (self._content and self._content.is_pipe)

    def fits(self, place: Place | None) -> bool:
        """Whether it is at `place`, or can go on there."""
        if self.place == place:
            return True
        if self._reading or not (self.place and place):
            return False
        return self.place.version == place.version and self.place.offset < place.offset

    async def read(self) -> FilePage:
        """The page at `place`, which moves on. A page whose reader is cancelled is the next reader's."""
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
        """Closes the file, once nothing is read from it."""
        if self._reading and not self._reading.done():
            self._reading.add_done_callback(lambda _: self._close())
        else:
            self._close()

    def _begin(self) -> asyncio.Future[FilePage]:
        """Reads the page in a thread: of the loop's own, which is faster, unless it could wait there for ever."""
        if self._content is None or self._content.is_pipe:
            return _in_own_thread(self._read)
        return asyncio.get_running_loop().run_in_executor(None, self._read)

    def _close(self) -> None:
        if self._reading:
            self._reading.exception()  # seen, so that asyncio does not report it
        if self._content:
            self._content.close()

    def _read(self) -> FilePage:
        if self._content is None:
            self._content = Content(self.file, self._opener, self.place)
        return self._content.page(self.place)


def _in_own_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Runs `work` in a thread that nobody waits for when the process ends, as it would for the loop's own."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised where the future is awaited
            tell(future.set_exception, error)
        else:
            tell(future.set_result, result)

    def tell(setter: Callable[[Any], None], outcome: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(setter, outcome)

    threading.Thread(target=run, name="file reader", daemon=True).start()
    return future
