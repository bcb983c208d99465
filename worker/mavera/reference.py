"""References: the short text in a persona's description by which the persona is found at Mavera.

A reference has two hexadecimal digests: the *family*, which is the same for all clusters of a space, collection and
rules name, so that one search lists them all; and the *cluster*, which identifies a persona within its family. A
reference depends on the name of the rules, not on their content: with a changed threshold it is still the same persona.
"""

import json
import re
from dataclasses import dataclass
from hashlib import blake2b

_TEXT = re.compile(r"\[segment-personas\s+([0-9a-f]{10})\s+([0-9a-f]{8})\]")


@dataclass(frozen=True, slots=True)
class Reference:
    """A persona's reference: `family` (10 digits) to search for, and `cluster` (8 digits) to identify one persona."""

    family: str
    cluster: str

    def __str__(self) -> str:
        """Returns the text that goes into a description."""
        return f"[segment-personas {self.family} {self.cluster}]"


def make_reference(
    space_id: str, collection: str, rules_name: str, cluster_key: str, *, sync_id: str | None = None
) -> Reference:
    """Makes the reference of a cluster's persona.

    Args:
        space_id: Id of the Segment space.
        collection: Collection of the space, such as `users`.
        rules_name: Name of the rules.
        cluster_key: Key of the cluster in the rules.
        sync_id: In mode `create`, the id of the sync. The family is then its own, so that personas of other syncs are
            not found.
    """
    scope = [space_id, collection, rules_name, sync_id]
    return Reference(family=_digest(scope, size=5), cluster=_digest([*scope, cluster_key], size=4))


def find_reference(description: str) -> Reference | None:
    """Returns the last reference in a description, or None.

    Our own is at the end; the text before it may quote values of the space that look like a reference.
    """
    found = _TEXT.findall(description)
    return Reference(*found[-1]) if found else None


def replace_reference(description: str, reference: Reference) -> str:
    """Returns the description with `reference` at its end instead of the reference that it has."""
    found = list(_TEXT.finditer(description))
    start, end = found[-1].span() if found else (len(description), len(description))
    return " ".join(filter(None, (description[:start].strip(), description[end:].strip(), str(reference))))


def strip_references(text: str) -> str:
    """Removes everything that looks like a reference, so that a value of a profile cannot pass for one."""
    return " ".join(part for part in map(str.strip, _TEXT.split(text)[::3]) if part) if _TEXT.search(text) else text


def _digest(words: list[str | None], *, size: int) -> str:
    # JSON separates the words: ("a", "bc") and ("ab", "c") must not give the same digest.
    return blake2b(json.dumps(words).encode(), digest_size=size, person=b"segment-personas").hexdigest()
