"""Rules as one statement for a warehouse that returns only aggregates.

PostgreSQL decides every value as the fold does, except that these are not usable:

- a number written with more than 1,000 characters;
- a date with a sign before its zone that ISO 8601 does not have, or with a digit between a week and its time, both of
  which `datetime.fromisoformat` accepts: `2026-02-28T10:00:00x+00:00`;
- an offset of a zone with parts of a second.

The other engines have neither its casts nor its regular expressions; there, these are not usable either:

- numbers as text with an exponent of three or more digits, or of more than 300 characters;
- dates as text in other forms than ISO 8601 as `YYYY-MM-DD`, alone or with `HH:MM:SS` and a zone, eight digits, and
  seconds or milliseconds since 1970.

A number in a typed column that is not usable has the shape `number` there. Values of JSON, arrays and other types are
read as text: a JSON number is also a word. For words see `worker.clusters.sql.words`.
"""

from worker.clusters.sql.warehouse.functions import WarehouseDialect
from worker.clusters.sql.warehouse.result_rows import WarehouseRowReader
from worker.clusters.sql.warehouse.statement import WarehouseBuilder

__all__ = ["WarehouseBuilder", "WarehouseDialect", "WarehouseRowReader"]
