"""A sample of a space: which profiles are in it is decided by each profile's identifier alone.

A profile counts if the hash of its identifier, as a number from 0 to 1, is below the sample's share. So every profile
has the same chance whatever its traits; it is the same ones every time, whoever looks and in whatever order; and a
larger sample holds every smaller one. That ends where identifiers do: a profile that is merged into another one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

_SALT = b"segment-personas sample\0"
"""Another salt is another sample; so this one stays."""

_BYTES = 8


@dataclass(frozen=True, slots=True)
class Sampled:
    """Entries in their order, without the profiles that are not in the sample.

    What is no object is still among them; an object without an identifier is None. left_out: profiles that are not in
    the sample. without_id: objects without an identifier.
    """

    entries: list[object]
    left_out: int
    without_id: int


def sampled(entries: Iterable[object], share: float) -> Sampled:
    """The entries of a page that are in the sample. share: above 0 and below 1."""
    bound = ceil(share * 2 ** (8 * _BYTES)).to_bytes(_BYTES, "big")
    kept: list[object] = []
    left_out = without_id = 0
    for entry in entries:
        if not isinstance(entry, dict):
            kept.append(entry)
        elif (name := identifier(entry)) is None:
            kept.append(None)
            without_id += 1
        elif _hash(name) < bound:
            kept.append(entry)
        else:
            left_out += 1
    return Sampled(kept, left_out, without_id)


def identifier(entry: dict[str, object]) -> str | None:
    """What a profile is known by; None if it says nothing that can be."""
    for key in ("segment_id", "id"):
        value = entry.get(key)
        if isinstance(value, str) and value:
            return value
        if type(value) is int:
            return str(value)
    return None


def _hash(name: str) -> bytes:
    return blake2b(_SALT + name.encode(errors="surrogatepass"), digest_size=_BYTES).digest()
