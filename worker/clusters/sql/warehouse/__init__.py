"""Rules as one statement for a warehouse, of which only aggregates leave.

PostgreSQL decides every value as the fold does, except a number written with more than 1,000 characters, which is not
usable. The other engines have neither its casts nor its regular expressions; there, these are not usable either:

- numbers as text with an exponent of three or more digits, or of more than 300 characters;
- dates as text in other forms than ISO 8601 with `YYYY-MM-DD`, eight digits, and seconds or milliseconds since 1970.

A number in a typed column that is not usable has the shape `number` there.
"""

from worker.clusters.sql.warehouse.functions import WarehouseDialect
from worker.clusters.sql.warehouse.result_rows import WarehouseRowReader
from worker.clusters.sql.warehouse.statement import WarehouseBuilder

__all__ = ["WarehouseBuilder", "WarehouseDialect", "WarehouseRowReader"]
