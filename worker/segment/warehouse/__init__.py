"""A warehouse as the source: one statement aggregates a table where it is, and only counts, sums and histograms return.

`WarehouseEngine` is what every kind of warehouse does; `open_engine` chooses one by the URL. Drivers are extras of the
program, and are loaded when the first statement is sent.
"""

from worker.segment.warehouse.engine import EngineOptions, FoundTable, Row, TableName, WarehouseEngine
from worker.segment.warehouse.engines import open_engine
from worker.segment.warehouse.warehouse_source import WarehouseAccess, WarehouseSource
from worker.warehouse_url import WarehouseUrl

__all__ = [
    "EngineOptions",
    "FoundTable",
    "Row",
    "TableName",
    "WarehouseAccess",
    "WarehouseEngine",
    "WarehouseSource",
    "WarehouseUrl",
    "open_engine",
]
