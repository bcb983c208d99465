"""The profiles of a made-up space as tables of Segment's Profiles Sync in a PostgreSQL of a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import psycopg

from producer.sandbox import SpaceSpec, profiles
from tests.support.servers.postgres_server import PostgresServer

KEYS = (
    *("ltv", "lifetime_value", "purchase_count", "order_count", "churn_risk", "churn_probability", "industry", "plan"),
    *("email", "name", "phone"),
)


def warehouse_profiles(spec: SpaceSpec) -> list[dict[str, Any]]:
    """The profiles of a space that a warehouse has: those with a trait, and every value as text."""
    found = []
    for profile in profiles(spec):
        if isinstance(profile, dict) and isinstance(traits := profile.get("traits"), dict):
            texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in traits.items()}
            if texts := {key: text for key, text in texts.items() if text != "null"}:
                found.append({"segment_id": profile["segment_id"], "traits": texts})
    return found


class WarehouseTables:
    """A database with `segment.user_traits` (a row a trait) and `segment.profile_traits` (a column a trait).

    Args:
        server: Where the database is made.
        name: Of the database and of its user, who may only read.
        spec: Of the profiles.
    """

    PASSWORD = "hunter2-of-the-warehouse"

    def __init__(self, server: PostgresServer, name: str, spec: SpaceSpec) -> None:
        self.server = server
        self.name = name
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
            connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{self.PASSWORD}'")
        with self.connect() as connection:
            connection.execute("CREATE SCHEMA segment")
            connection.execute(
                "CREATE TABLE segment.user_traits "
                "(canonical_segment_id text, name text, value text, received_at timestamptz)"
            )
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY segment.user_traits (canonical_segment_id, name, value) FROM STDIN") as rows,
            ):
                for profile in warehouse_profiles(spec):
                    for key, value in profile["traits"].items():
                        rows.write_row([profile["segment_id"], key, value])
            columns = ", ".join(f"max(value) FILTER (WHERE name = '{key}') AS {key}" for key in KEYS)
            connection.execute(
                f"CREATE TABLE segment.profile_traits AS SELECT canonical_segment_id, ''::text AS merged_to, {columns} "
                "FROM segment.user_traits GROUP BY canonical_segment_id"
            )
            connection.execute(
                "INSERT INTO segment.profile_traits (canonical_segment_id, merged_to, ltv) VALUES ('old', 'new', '900')"
            )
            connection.execute(f"GRANT USAGE ON SCHEMA segment TO {name}")
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA segment TO {name}")

    def url(self, user: str | None = None) -> str:
        """Returns the URL of its user, or of another one."""
        return self.server.url(user or self.name, self.PASSWORD, self.name) + "?schema=segment"

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Returns a connection of the superuser that commits each statement."""
        return self.server.connect(self.name)

    def lock(self, table: str = "segment.user_traits") -> psycopg.Connection[tuple[object, ...]]:
        """Returns a connection with a lock on a table, for which every statement of a sync waits until it is closed."""
        connection = psycopg.connect(self.server.url(database=self.name))
        connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        return connection

    def backends(self) -> list[int]:
        """Returns the process ids of the statements of syncs that wait for a lock."""
        with self.server.connect() as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND wait_event_type = 'Lock' "
                "AND application_name LIKE 'segment-personas syn_%%'",
                [self.name],
            ).fetchall()
        return [int(str(pid)) for (pid,) in found]

    async def wait_for_backends(self, count: int, *, other_than: Sequence[int] = ()) -> list[int]:
        """Returns the process ids once exactly so many statements wait, none of which is in `other_than`."""
        while True:
            found = self.backends()
            if len(found) == count and not set(found) & set(other_than):
                return found
            await asyncio.sleep(0.05)
