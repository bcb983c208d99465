"""TOML files that people write: read with limits, with the line of each value, and with a fix for each mistake."""
