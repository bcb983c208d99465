"""A space of a round whose profiles are in a real PostgreSQL, which is stopped and killed as Redis is.

The table is a view that takes a while, so that what happens falls into its statement.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack

from producer.sandbox import SpaceSpec, profiles
from tests.support.servers.postgres_server import BINARIES, PostgresServer, new_data_folder

WAREHOUSE = "spa_w"
_COLUMNS = {
    "ltv": "double precision",
    "purchase_count": "bigint",
    "churn_risk": "double precision",
    "industry": "text",
    "plan": "text",
}
_STATEMENT_S = 1.5


def is_installed() -> bool:
    """Whether this machine has PostgreSQL."""
    return any(BINARIES.glob("*/bin/postgres"))


class WarehouseSpace:
    """A context in which the server runs, unless a fault has ended it.

    Args:
        spec: Of the space; its profiles fit typed columns.
        chance: Decides what is random.
    """

    def __init__(self, spec: SpaceSpec, chance: random.Random) -> None:
        self._spec = spec
        self._random = chance
        self._stack = ExitStack()

    def __enter__(self) -> WarehouseSpace:
        self._server = PostgresServer(self._stack.enter_context(new_data_folder()))
        self._stack.callback(self._server.kill)
        self._server.start()
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        with self._server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE exported (id bigint, {columns})".encode())
            with cursor.copy(f"COPY exported (id, {', '.join(_COLUMNS)}) FROM STDIN".encode()) as copy:
                for number, profile in enumerate(profiles(self._spec)):
                    assert isinstance(profile, dict)
                    copy.write_row([number, *(profile["traits"].get(name) for name in _COLUMNS)])
            slow = f"(SELECT pg_sleep({_STATEMENT_S}) OFFSET 0) AS slow"
            cursor.execute(f"CREATE VIEW profile_traits AS SELECT exported.* FROM exported, {slow}".encode())
            cursor.execute("CREATE USER reader; GRANT SELECT ON profile_traits TO reader")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """What workers are given as WAREHOUSE_URL."""
        return self._server.url("reader")

    async def restart(self) -> None:
        """A shutdown that ends statements, a pause, and a new start."""
        await asyncio.to_thread(self._server.stop)
        await asyncio.sleep(self._random.uniform(0, 2))
        await asyncio.to_thread(self._server.start)

    async def kill(self) -> None:
        """An end without a shutdown, and a new start, which recovers the data."""
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)
