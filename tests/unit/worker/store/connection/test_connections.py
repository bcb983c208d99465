"""Connections that do not wait before a command: what they must still notice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from worker.store import StorePool

Leave = Callable[[Any], Awaitable[None]]


async def an_unread_answer(connection: Any) -> None:
    """As a command leaves it that was given up."""
    connection._reader.feed_data(b"+PONG\r\n")


async def an_unparsed_answer(connection: Any) -> None:
    connection._parser._reader.feed(b"+PONG\r\n")


async def a_part_of_an_answer(connection: Any) -> None:
    connection._parser._reader.feed(b"+PON")


async def an_end(connection: Any) -> None:
    """As Redis closes it: it says nothing more."""
    connection._reader.feed_eof()


async def a_broken_stream(connection: Any) -> None:
    connection._reader.set_exception(ConnectionResetError(104, "reset"))


@pytest.mark.parametrize(
    "leave",
    [an_unread_answer, an_unparsed_answer, a_part_of_an_answer, an_end, a_broken_stream],
    ids=lambda leave: leave.__name__,
)
async def test_what_is_left_in_a_connection_answers_no_command(real_pool: StorePool, leave: Leave) -> None:
    pool = real_pool.connection_pool
    connection = await pool.get_connection()
    await leave(connection)
    await pool.release(connection)
    again = await pool.get_connection()
    assert again is connection
    assert not again._reader._buffer
    assert not again._parser._reader.has_data()
    await pool.release(again)
    assert await real_pool.echo("mine") == b"mine"  # type: ignore[no-untyped-call]


async def test_commands_of_one_task_share_a_connection(real_pool: StorePool) -> None:
    for number in range(20):
        assert await real_pool.echo(str(number)) == str(number).encode()  # type: ignore[no-untyped-call]
    ids = {await real_pool.client_id() for _ in range(20)}  # type: ignore[no-untyped-call]
    assert len(ids) == 1
