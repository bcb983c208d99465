"""Chooses the engine of a warehouse by its URL, and checks that its driver is installed."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass

from worker.errors import ResumableStop
from worker.segment.warehouse.engine import EngineOptions, WarehouseEngine
from worker.warehouse_url import WarehouseUrl


@dataclass(frozen=True)
class Driver:
    """The driver of an engine: its module, and the package and extra that it needs.

    Attributes:
        module: Of the engine, in `products`.
        name: Of the class. It is called with a `WarehouseUrl` and `EngineOptions`.
        package: The package that the driver is in, as it is imported; None if the program always has it.
        extra: The extra of the program that installs it.
    """

    module: str
    name: str
    package: str | None = None
    extra: str = ""


DRIVERS = {
    "duckdb": Driver("duckdb_file", "DuckDbFile"),
    "postgresql": Driver("postgres", "Postgres", "psycopg", "postgres"),
    "redshift": Driver("redshift", "Redshift", "psycopg", "postgres"),
    "snowflake": Driver("snowflake", "Snowflake", "snowflake.connector", "snowflake"),
    "bigquery": Driver("bigquery", "BigQuery", "google.cloud.bigquery", "bigquery"),
    "databricks": Driver("databricks", "Databricks", "databricks.sdk", "databricks"),
}
"""Scheme of the URL → driver."""


def require_driver(url: WarehouseUrl) -> Driver:
    """Returns the driver for a URL.

    Raises:
        ResumableStop: `driver_missing`.
    """
    driver = DRIVERS.get(url.scheme)
    if driver is None:
        raise ResumableStop("driver_missing", f"{url.place}: this version cannot read {url.title}")
    if driver.package is not None and not _is_installed(driver.package):
        raise ResumableStop(
            "driver_missing",
            f"{url.place}: reading {url.title} needs {driver.package}, which is not installed",
            hint=f"Run: pip install 'segment-personas[{driver.extra}]'",
        )
    return driver


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # a package that contains it is missing
        return False


def open_engine(url: WarehouseUrl, options: EngineOptions) -> WarehouseEngine:
    """Returns the engine for a URL. It connects when it is first asked for something.

    Raises:
        ResumableStop: `driver_missing`.
    """
    driver = require_driver(url)
    module = importlib.import_module(f"worker.segment.warehouse.products.{driver.module}")
    engine: WarehouseEngine = getattr(module, driver.name)(url, options)
    return engine
