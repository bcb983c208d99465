"""Opaque cursors: an index, how many empty pages are still to come and a check, scrambled into hex digits.

Scrambling is a multiplication that can be undone, so no table of cursors is kept; the check makes a cursor of
another space, or an invented one, invalid.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

_BITS = 80
_MODULUS = 1 << _BITS
_FACTOR = 0x9E3779B97F4A7C15F39D
_INVERSE = pow(_FACTOR, -1, _MODULUS)
ENDLESS = (1 << 24) - 1
"""As many empty pages as a cursor can promise; in practice without end."""


class Place(NamedTuple):
    """The beginning of a page: at the entry `start`, after `empties` empty pages."""

    start: int
    empties: int = 0


def encode(place: Place, scope: str) -> str:
    """Returns the cursor for a place (index below 2^40) within a scope, such as a space and its collection."""
    value = place.start << 24 | place.empties
    return f"{(value << 16 | _check(value, scope)) * _FACTOR % _MODULUS:020x}"


def decode(cursor: str, scope: str) -> Place | None:
    """Returns the place of a cursor, or None if the cursor does not belong to this scope."""
    if len(cursor) != 20 or not cursor.isascii() or not cursor.isalnum():
        return None
    try:
        scrambled = int(cursor, 16)
    except ValueError:
        return None
    plain = scrambled * _INVERSE % _MODULUS
    value = plain >> 16
    if plain & 0xFFFF != _check(value, scope):
        return None
    return Place(value >> 24, value & ENDLESS)


def _check(value: int, scope: str) -> int:
    return crc32(b"%d|%s" % (value, scope.encode())) & 0xFFFF
