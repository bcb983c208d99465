"""The URL of a warehouse names the engine, and shows nothing secret."""

from __future__ import annotations

import pytest

from worker.segment.warehouse import WarehouseUrl

PLACES = {
    "postgresql://anna:hunter2!@db.example:5433/analytics?schema=segment": "PostgreSQL db.example:5433/analytics",
    "postgres://anna@db.example/analytics": "PostgreSQL db.example/analytics",
    "redshift://anna:hunter2!@wh.example:5439/dev": "Redshift wh.example:5439/dev",
    "snowflake://anna:hunter2!@xy12345/DB/SEGMENT?warehouse=WH": "Snowflake xy12345/DB/SEGMENT",
    "bigquery://project/dataset": "BigQuery project/dataset",
    "databricks://token:dapi123@host.example/sql?http_path=/sql/1": "Databricks host.example/sql",
    "duckdb:///data/a%20b.duckdb": "DuckDB /data/a b.duckdb",
}


def test_the_place_of_a_url_has_host_and_database_and_no_login() -> None:
    for text, place in PLACES.items():
        url = WarehouseUrl.parse(text)
        assert url.place == place, text
        assert text not in repr(url)
    url = WarehouseUrl.parse("postgres://anna:p%2Fss@db.example/analytics?schema=segment&sslpassword=abc")
    assert (url.scheme, url.schema) == ("postgresql", "segment")
    assert set(url.secrets) == {url.text, "p%2Fss", "p/ss", "abc"}


@pytest.mark.parametrize(
    "text",
    ["mysql://hunter2@host/db", "postgresql:", "postgresql:///hunter2", "duckdb://hunter2", "duckdb:///", "hunter2"],
)
def test_another_url_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="must") as refused:
        WarehouseUrl.parse(text)
    assert "hunter2" not in str(refused.value)
