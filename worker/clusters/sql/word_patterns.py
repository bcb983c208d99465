"""Patterns of words that are certainly usable as they are, so that SQL can accept them without their parser."""

import json

_LETTERS = r"[A-Za-z]{1,39}"

CLEAN = rf"{_LETTERS}(?:[ &-]{_LETTERS})?"
"""Letters in at most two parts: in normal form, at most 79 characters, neither markup nor personal."""

CLEAN_JSON = f'"{CLEAN}"'

PLACEHOLDERS = (
    *("null", "none", "nil", "nan", "nat", "undefined", "unknown", "unspecified"),
    *("not set", "notset", "not-set", "not available", "not-available", "not applicable", "not-applicable"),
    *("not provided", "not-provided", "not specified", "not-specified", "not defined", "not-defined"),
    *("not known", "not-known", "no value", "no-value", "no data", "no-data"),
)
"""Words that match `CLEAN` and mean no value."""


def json_text(word: str) -> str:
    """Return a word as JSON text, as DuckDB writes it."""
    return json.dumps(word, ensure_ascii=False)
