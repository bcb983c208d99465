"""What is to be done for a cluster: create its persona, update it, leave it as it is, or skip the cluster. Pure.

    fewer profiles than asked for                                  skip: `empty`, `too_small`
    hardly a member has a trait that the cluster needs             skip: `no_evidence`
    no persona is known, and only a part of the space was read     skip: `partial` (unless the request allows it)
    no persona is known                                            create
    it comes from the whole space, and this sync does not          skip: `partial` (unless the request allows it)
    it is not known what it says, or its wording is another        update
    it comes from a part of the space, and this sync from all      update
    a share or a mean moved by as much as the settings say         update
    else                                                           leave

A preview plans to create personas from a part of a space too; applying that plan needs the permission.

A persona that is to be left must still be there; whether it is, Mavera's list says, which is not asked for here.
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
    """What is to be done for a cluster.

    Attributes:
        action: What to do.
        reason: Of a skip a word, of an update a phrase that says what has changed; else empty.
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
        return PersonaAction("update", "what it says is not known")
    if record.sent.wording != payload.wording:
        return PersonaAction("update", "its name, text or fields are others now")
    if complete and not record.complete:
        return PersonaAction("update", "it came from a part of the space")
    change = next(find_changes(record.sent.figures, payload.figures, threshold), None)
    return PersonaAction("leave") if change is None else PersonaAction("update", change)
