"""References: the short text in a persona's description by which it is found again at Mavera.

A reference has two words, both hexadecimal digests: the *family*, the same for all clusters of one space,
collection and rules, so that one search lists them all; and the *cluster*, which with the family names one
persona. It depends on the name of the rules and not on their content: with a changed threshold it is still
the same persona.
"""

import json
import re
from dataclasses import dataclass
from hashlib import blake2b

_TEXT = re.compile(r"\[segment-personas\s+([0-9a-f]{10})\s+([0-9a-f]{8})\]")


@dataclass(frozen=True, slots=True)
class Reference:
    """A persona's two words: `family` (10 digits) to search for, `cluster` (8) to tell its personas apart."""

    family: str
    cluster: str

    def __str__(self) -> str:
        """The text that goes into a description."""
        return f"[segment-personas {self.family} {self.cluster}]"


def reference(
    space_id: str, collection: str, rules_name: str, cluster_key: str, *, sync_id: str | None = None
) -> Reference:
    """The reference of a cluster's persona.

    With `sync_id` (mode `create`) the whole family is that sync's own, so that no other sync's personas are
    found.
    """
    scope = [space_id, collection, rules_name, sync_id]
    return Reference(family=_digest(scope, size=5), cluster=_digest([*scope, cluster_key], size=4))


def find(description: str) -> Reference | None:
    """The reference in a description, None if it has none.

    The last one counts: ours stands at the end, and what stands before it may quote a space's own categories.
    """
    found = _TEXT.findall(description)
    return Reference(*found[-1]) if found else None


def refer(description: str, reference: Reference) -> str:
    """The description with `reference` at its end, in the place of the one that it has."""
    found = list(_TEXT.finditer(description))
    start, end = found[-1].span() if found else (len(description), len(description))
    return " ".join(filter(None, (description[:start].strip(), description[end:].strip(), str(reference))))


def without_references(text: str) -> str:
    """The text without anything that looks like a reference: a value of a profile must not pass for one."""
    return " ".join(part for part in map(str.strip, _TEXT.split(text)[::3]) if part) if _TEXT.search(text) else text


def _digest(words: list[str | None], *, size: int) -> str:
    # JSON keeps the words apart: ("a", "bc") and ("ab", "c") must not be the same reference.
    return blake2b(json.dumps(words).encode(), digest_size=size, person=b"segment-personas").hexdigest()
