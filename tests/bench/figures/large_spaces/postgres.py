"""A warehouse: the statement of the default rules in PostgreSQL, beside SQL that was written by hand for them.

Both read the same table of one row for each trait. The hand-written SQL casts without looking, and so ends with an
error at the first value that is not a number; it counts no errors and no distribution.
"""

from __future__ import annotations

import time

import psycopg
from sqlglot import exp

from tests.bench.figure import BenchError, Goal, Plot, Sample
from tests.support.servers.postgres_server import PostgresServer, new_data_folder
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE
from worker.clusters.sql import SourceShape, compile_statement

PROFILES = 625_000
TRAITS = 8

OURS = "our statement"
BY_HAND = "SQL written by hand"

_TABLE = """
CREATE TABLE user_traits AS
SELECT 'use_' || md5(i::text) AS canonical_segment_id, name, CASE name
    WHEN 'ltv' THEN round(2000.0 * ((i * 7919::bigint) % 100003) / 100003, 2)::text
    WHEN 'purchase_count' THEN ((i * 31) % 20)::text
    WHEN 'churn_risk' THEN round(((i * 104729::bigint) % 1009) / 1009.0, 3)::text
    WHEN 'industry' THEN (ARRAY['SaaS', 'Retail', 'Finance', 'Education'])[1 + i % 4]
    WHEN 'plan' THEN (ARRAY['pro', 'free', 'team'])[1 + (i * 13) % 3]
    WHEN 'country' THEN (ARRAY['DE', 'FR', 'US'])[1 + i % 3]
    ELSE ((i * 17) % 100)::text
  END AS value, now() AS received_at
FROM generate_series(1, {profiles}) AS i
CROSS JOIN unnest(
  ARRAY['ltv', 'purchase_count', 'churn_risk', 'industry', 'plan', 'country', 'sessions', 'nps']
) AS name
"""
_BY_HAND = """
WITH profiles AS (
  SELECT max(value) FILTER (WHERE name = 'ltv')::float8 AS ltv,
    max(value) FILTER (WHERE name = 'purchase_count')::float8 AS purchases,
    max(value) FILTER (WHERE name = 'churn_risk')::float8 AS risk,
    max(value) FILTER (WHERE name = 'industry') AS industry, max(value) FILTER (WHERE name = 'plan') AS plan
  FROM user_traits GROUP BY canonical_segment_id
), clusters AS (
  SELECT *, CASE
    WHEN ltv IS NULL AND purchases IS NULL AND risk IS NULL THEN 'unclassified'
    WHEN coalesce(ltv, 0) > 500 AND coalesce(risk, 0.5) < 0.15 THEN 'high_value'
    WHEN coalesce(ltv, 0) > 100 AND coalesce(purchases, 0) >= 2 THEN 'growth'
    WHEN coalesce(risk, 0.5) > 0.4 THEN 'at_risk' ELSE 'new' END AS cluster
  FROM profiles
)
SELECT cluster, NULL AS trait, NULL AS word, count(*), avg(ltv), avg(purchases), avg(risk) FROM clusters GROUP BY 1
UNION ALL
SELECT cluster, 'industry', industry, count(*), NULL, NULL, NULL FROM clusters GROUP BY 1, 3 HAVING count(*) >= 3
UNION ALL
SELECT cluster, 'plan', plan, count(*), NULL, NULL, NULL FROM clusters GROUP BY 1, 3 HAVING count(*) >= 3
"""


class Postgres:
    name = "postgres"
    title = f"PostgreSQL: {PROFILES:,} profiles in {PROFILES * TRAITS:,} rows of user_traits, one connection"
    goals: tuple[Goal, ...] = ()
    opt_in = True
    plot = Plot("value", rows=(OURS, BY_HAND), ours=(OURS,))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Each statement twice, the second time measured."""
        statement = compile_statement(
            RECIPE,
            SourceShape("tall", id="canonical_segment_id"),
            exp.to_table("user_traits"),
            dialect="postgres",
            as_of=time.time(),
        )
        with new_data_folder() as folder:
            server = PostgresServer(folder)
            server.start()
            try:
                with server.connect() as connection:
                    connection.execute(_TABLE.format(profiles=PROFILES).encode())
                    connection.execute("VACUUM ANALYZE user_traits")
                    connection.execute("SET jit = off")  # as a worker sets it
                    by_hand, rows = _seconds(connection, _BY_HAND)
                    expected = {str(row[0]): row[3] for row in rows if row[1] is None}
                    ours, rows = _seconds(connection, statement.sql)
            finally:
                server.kill()
        if {key: cluster.n for key, cluster in statement.aggregate(rows).clusters.items()} != expected:
            raise BenchError("the two statements count other profiles")
        rate = PROFILES * TRAITS
        return [
            Sample(OURS, rate / ours, "rows/s", by_hand / ours, BY_HAND),
            Sample(BY_HAND, rate / by_hand, "rows/s"),
        ]


def _seconds(connection: psycopg.Connection[tuple[object, ...]], text: str) -> tuple[float, list[tuple[object, ...]]]:
    connection.execute(text.encode()).fetchall()
    start = time.monotonic()
    rows = connection.execute(text.encode()).fetchall()
    return time.monotonic() - start, rows


FIGURE = Postgres()
"""Not measured by default: it makes a table of 700 MB."""
