"""A persona's record and outcomes, as the tests of the store use them."""

from __future__ import annotations

from worker.clusters.analysis.change_detection import PersonaFigures
from worker.models.outcome import PersonaOutcome
from worker.store import PersonaRecord, SentPersona

RECORD = PersonaRecord("per_1", "space", "new", "s1", n=3)
CREATED = PersonaOutcome("new", "per_1", "created", 300, ("plans",))
UPDATED = PersonaOutcome("new", "per_1", "updated", 0)
UNCHANGED = PersonaOutcome("new", "per_1", "unchanged", 0)
SENT = SentPersona(
    "wording", PersonaFigures(0.1 + 0.2, {"ltv": 1 / 3, "churn_risk": None}, {"plans": {"pro": 0.5}}), at=1.5
)
