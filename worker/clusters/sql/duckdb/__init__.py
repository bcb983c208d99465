"""The statement of DuckDB, whose odd values the fold reads in this process, and the reader of its rows."""
