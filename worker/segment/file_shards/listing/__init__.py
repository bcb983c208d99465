"""Finds the files that a request means, and checks which of them may be read. Loads no DuckDB."""
