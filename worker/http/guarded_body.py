"""The body of a request that must not be sent late, such as one that buys a persona."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from worker.http.errors import NotPermitted


class GuardedBody:
    """A request body that is sent only if `permit` returns True immediately before.

    Attributes:
        sent: Whether the body may have been sent.
        error: Why it was not.
    """

    def __init__(self, body: bytes, permit: Callable[[], bool], on_connected: Callable[[], Awaitable[None]] | None):
        self.body = body
        self.sent = False
        self.error: Exception | None = None
        self._closed = False
        self._permit = permit
        self._on_connected = on_connected

    async def send(self) -> AsyncIterator[bytes]:
        """Yields the body once the connection is made. Raises NotPermitted instead, or what `on_connected` raises."""
        try:
            if self._on_connected:
                await self._on_connected()
            if self._closed or not self._permit():
                raise NotPermitted
        except Exception as error:
            self.error = error
            raise
        self.sent = True
        yield self.body

    def close(self) -> None:
        """Ends the request: nothing more may be sent for it."""
        self._closed = True
