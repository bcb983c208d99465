"""Connections of redis-py that give up the event loop once for each command: while they wait for its answer.

redis-py gives it up twice more: it waits whether the connection holds an unread answer, and it writes the command in a
separate task, to limit the time of writing. Here the first is read from the buffers, and a command is written without
waiting: its answer must come within the same time. hiredis encodes the command, as in redis-py's synchronous client.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.connection import HiredisRespSerializer

_ENCODER = HiredisRespSerializer()


class _DirectConnection(AbstractConnection):
    """The methods of connections that differ from those of redis-py, for connections of every kind."""

    async def can_read_destructive(self) -> bool:
        """Returns whether there is an unread answer, or raises ConnectionError: then the pool connects again."""
        stream, parser = self._reader, cast(Any, self._parser)
        if stream is None or stream.at_eof() or stream.exception() is not None:
            found: bool = await super().can_read_destructive()  # type: ignore[no-untyped-call]
            return found
        return not self._socket_is_empty() or parser._reader.has_data()  # type: ignore[no-untyped-call]

    def pack_command(self, *args: Any) -> list[bytes]:
        """Encodes a command."""
        packed: list[bytes] = _ENCODER.pack(*args)
        return packed

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Connects if it is not connected, and writes a command that is encoded."""
        if not self.is_connected:
            await self.connect()  # type: ignore[no-untyped-call]
        elif check_health:
            await self.check_health()  # type: ignore[no-untyped-call]
        parts = command.encode() if isinstance(command, str) else command
        assert self._writer is not None
        self._writer.writelines([parts] if isinstance(parts, bytes) else parts)


class _DirectTcp(_DirectConnection, Connection):
    """A connection by TCP."""


class _DirectTls(_DirectConnection, SSLConnection):
    """A connection by TLS."""


class _DirectSocket(_DirectConnection, UnixDomainSocketConnection):
    """A connection by a Unix socket."""


_KINDS: dict[type[AbstractConnection], type[AbstractConnection]] = {
    Connection: _DirectTcp,
    SSLConnection: _DirectTls,
    UnixDomainSocketConnection: _DirectSocket,
}


def use_direct_connections(pool: ConnectionPool) -> None:
    """Lets a pool that has no connection yet make these connections."""
    pool.connection_class = _KINDS[pool.connection_class]
