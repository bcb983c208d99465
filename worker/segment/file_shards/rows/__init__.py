"""The rows of a shard: as a view of DuckDB, as a shape for the SQL compiler, and as entries of a page."""
