"""Decides what a sync does for a cluster: create, update or leave its persona, or skip the cluster. Pure.

    fewer profiles than asked for                                  skip: `empty`, `too_small`
    hardly any profile has a trait that the cluster needs          skip: `no_evidence`
    no persona is known, and only a part of the space was read     skip: `partial` (unless the request allows it)
    no persona is known                                            create
    it describes the whole space, and this sync a part             skip: `partial` (unless the request allows it)
    its text is not known, or its wording has changed              update
    it describes a part of the space, and this sync all of it      update
    a share or a mean moved by as much as the settings say         update
    otherwise                                                      leave

A preview plans to create personas from a part of a space too; applying that plan needs the permission.

The caller checks whether a persona that stays unchanged still exists at Mavera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold, find_changes
from worker.clusters.analysis.quality_guards import has_evidence
from worker.mavera import PersonaPayload
from worker.models.request import SyncRequest
from worker.store import PersonaRecord


@dataclass(frozen=True)
class PersonaAction:
    """The action for a cluster.

    Attributes:
        action: What to do.
        reason: Why: a word for a skip, a phrase about the change for an update; otherwise empty.
    """

    action: Literal["create", "update", "leave", "skip"]
    reason: str = ""


def decide_action(
    request: SyncRequest,
    summary: ClusterSummary,
    payload: PersonaPayload,
    record: PersonaRecord | None,
    *,
    threshold: ChangeThreshold,
    complete: bool,
) -> PersonaAction:
    """Decides what a sync does for a cluster.

    Args:
        request: Of the sync.
        summary: Of the cluster.
        payload: What would be sent.
        record: The cluster's persona, None if none is known.
        threshold: How far a share or a mean must have moved for an update.
        complete: Whether all profiles of the space were read.
    """
    if summary.n < max(1, request.min_cluster_size):
        return PersonaAction("skip", "too_small" if summary.n else "empty")
    if not has_evidence(request.rules, summary):
        return PersonaAction("skip", "no_evidence")
    if record is None:
        may_create = complete or request.allow_partial or request.plan_only
        return PersonaAction("create") if may_create else PersonaAction("skip", "partial")
    if record.complete and not complete and request.allow_partial is not True:
        return PersonaAction("skip", "partial")
    if record.sent is None:
        return PersonaAction("update", "its text at Mavera is not known")
    if record.sent.wording != payload.wording:
        return PersonaAction("update", "its name, text or fields have changed")
    if complete and not record.complete:
        return PersonaAction("update", "it was made from a part of the space")
    change = next(find_changes(record.sent.figures, payload.figures, threshold), None)
    return PersonaAction("leave") if change is None else PersonaAction("update", change)
