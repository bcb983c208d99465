"""Which files a request means, where they are, and which of them may be read. Loads no DuckDB."""
