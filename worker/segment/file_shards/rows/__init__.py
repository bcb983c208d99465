"""The rows of a shard: as a view of DuckDB, as what the compiler of SQL is told, and as entries of a page."""
