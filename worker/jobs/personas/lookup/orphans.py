"""Finds orphans: personas of renamed or removed clusters, which no sync with the present rules updates. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from worker.mavera import make_reference
from worker.models.plan import Orphan
from worker.store import PersonaRecord


@dataclass(frozen=True)
class Owner:
    """Whose personas: a space, a collection of it, and the name of the rules."""

    space_id: str
    collection: str
    rules: str

    def reference(self, cluster: str) -> str:
        """Returns the reference of a cluster's persona, as text."""
        return str(make_reference(self.space_id, self.collection, self.rules, cluster))


def find_orphans(
    records: Mapping[str, PersonaRecord], listed: Mapping[str, str], owner: Owner, clusters: Collection[str]
) -> tuple[Orphan, ...]:
    """Finds the personas of an owner whose clusters are not among those of its rules.

    Args:
        records: Every record of the account, by reference.
        listed: Personas of the owner's family at Mavera: reference → id.
        owner: Whose personas are looked at.
        clusters: Keys of the clusters that the rules have.

    Returns:
        The orphans, by cluster and id. Of one that is only listed, its cluster's key is not known.
    """
    known = {owner.reference(cluster) for cluster in clusters}
    found: dict[str, Orphan] = {}
    for name, record in records.items():
        # In mode `create` a record belongs to its sync, and no other sync is meant to update it.
        is_owners = (record.space_id, record.collection, record.rules) == (
            owner.space_id,
            owner.collection,
            owner.rules,
        )
        if is_owners and name not in known and name == owner.reference(record.cluster):
            found[record.persona_id] = Orphan(persona_id=record.persona_id, cluster=record.cluster)
    for name, persona_id in listed.items():
        if name not in known and persona_id not in found:
            found[persona_id] = Orphan(persona_id=persona_id)
    return tuple(sorted(found.values(), key=lambda orphan: (orphan.cluster, orphan.persona_id)))
