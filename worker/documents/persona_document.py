"""The JSON document of a persona's record: which persona belongs to which cluster."""

from __future__ import annotations

from collections.abc import Mapping

from worker.documents.json_format import iso_time
from worker.store import PersonaRecord


def persona_entry(reference: str, record: PersonaRecord, labels: Mapping[tuple[str, str], str]) -> dict[str, object]:
    """Returns a record as JSON.

    Args:
        reference: The reference in the description of the persona.
        record: The record.
        labels: Labels of the clusters that are known here, by the names of their rules and their keys.
    """
    return {
        "persona_id": record.persona_id,
        "space_id": record.space_id,
        "collection": record.collection,
        "rules": record.rules,
        "cluster": labels.get((record.rules, record.cluster), record.cluster),
        "key": record.cluster,
        "n": record.n,
        "complete": record.complete,
        "sync_id": record.sync_id or None,
        "updated_at": iso_time(record.sent.at) if record.sent else None,
        "reference": reference,
    }
