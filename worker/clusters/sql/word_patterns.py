"""Patterns of words that are certainly usable as they are, so that SQL can accept them without their parser."""

import json
from itertools import chain

_PART = r"[A-Za-z]{1,19}"

CLEAN = (
    rf"{_PART}(?:[ &_-]{_PART}){{0,3}}"
    rf"|[A-Za-z]{{1,9}}[0-9]{{1,2}}|{_PART}(?: {_PART})?[ -][0-9]{{1,2}}|{_PART}(?: {_PART})? [0-9]{{1,4}}"
)
"""Letters in at most four parts, and few digits after letters: in normal form, at most 79 characters, neither markup
nor personal. Without digits no word is personal; so few of them are neither a phone number nor an id."""

CLEAN_JSON = f'"(?:{CLEAN})"'

_VISIBLE = r"[!#-\[\]-~]"
_MEMBER = rf'"(?:{_VISIBLE}(?: ?{_VISIBLE})*)?"'

LIST = rf"\[(?:{_MEMBER}(?:, ?{_MEMBER})*)?\]"
"""A JSON list of texts in their normal form, usable or not: a word that rules name is in it only unchanged."""

_ONE_WORD = ("null", "none", "nil", "nan", "nat", "undefined", "unknown", "unspecified", "notset")
_NO = ("set", "available", "applicable", "provided", "specified", "defined", "known")
_TWO_WORDS = (*(("not", word) for word in _NO), ("no", "value"), ("no", "data"))

PLACEHOLDERS = (*_ONE_WORD, *chain.from_iterable((f"{a} {b}", f"{a}-{b}", f"{a}_{b}") for a, b in _TWO_WORDS))
"""Words in small letters that match `CLEAN` and mean no value."""


def word_in_json(word: str) -> str:
    """Returns a word as JSON text, as DuckDB writes it."""
    return json.dumps(word, ensure_ascii=False)
