"""One sync as it should be, and the states that it may move to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.store_model.batch_model import ModelBatch, ModelLookAhead
from worker.models.outcome import PersonaOutcome, SyncFailure
from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.store import Checkpoint

RUNNING = (SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING)
TIMES = ("created_at", "started_at", "fetched_at", "finished_at", "applied_at")

STATE_MOVES: Mapping[SyncState, frozenset[SyncState]] = {
    SyncState.QUEUED: frozenset({SyncState.FETCHING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FETCHING: frozenset({SyncState.FINALIZING, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.FINALIZING: frozenset({SyncState.COMPLETED, SyncState.FAILED, SyncState.CANCELLED}),
    SyncState.COMPLETED: frozenset({SyncState.FINALIZING}),
    SyncState.FAILED: frozenset({SyncState.QUEUED, SyncState.FETCHING, SyncState.FINALIZING}),
    SyncState.CANCELLED: frozenset(),
}
"""State → states that one script may move it to: `resume` continues a failed sync, and `apply` a preview."""


@dataclass
class ModelSync:
    """One sync.

    paid: personas that its credits count. lost: its job may be gone, by a fault or by its own end. suspect: the job
    that last had to run alone.
    """

    id: str
    request: SyncRequest
    asked: str
    state: SyncState = SyncState.QUEUED
    epoch: int = 1
    holder: str = ""
    job: str = ""
    token: str = ""
    lookup: str = ""
    plan: str = ""
    accepted: str = ""
    baseline: str = ""
    note: str = ""
    at: Checkpoint = field(default_factory=Checkpoint)
    revivals: int = 0
    paid: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, PersonaOutcome] = field(default_factory=dict)
    failed_in: SyncState | None = None
    error: SyncFailure | None = None
    times: set[str] = field(default_factory=lambda: {"created_at"})
    lost: bool = False
    has_failed: bool = False
    asked_request: str = ""
    suspect: str = ""
    ahead: ModelLookAhead | None = None

    @property
    def runs(self) -> bool:
        return self.state in RUNNING

    @property
    def batches(self) -> list[ModelBatch]:
        """The outstanding ones."""
        return self.ahead.batches if self.ahead else []

    @property
    def parked(self) -> bool:
        """Whether no walk is due before a batch has made room."""
        return bool(self.ahead and self.ahead.parked)

    def waits(self, is_queued: Callable[[str], bool]) -> bool:
        """Whether its job waits in the queue; is_queued: whether a job is there and not taken."""
        return not self.parked and not self.holder and is_queued(self.job)

    def fields(self) -> dict[bytes, bytes]:
        """Its hash, without any time."""
        at, error = self.at, self.error
        texts: dict[str, object] = {f"paid:{persona_id}": price for persona_id, price in self.paid.items()}
        texts |= {
            "id": self.id,
            "format": 1,
            "request": self.request.model_dump_json(),
            "identity": self.request.identity,
        }
        texts |= {"state": self.state.value, "epoch": self.epoch, "holder": self.holder, "job": self.job}
        texts |= {"seq": at.seq, "token": self.token, "cursor": at.cursor, "guard": at.guard, "pages": at.pages}
        texts |= {"profiles": at.profiles, "complete": int(at.complete), "trouble_ms": at.trouble_ms}
        texts |= {
            "accepted": self.accepted,
            "baseline": self.baseline,
            "lookup": self.lookup,
            "plan": self.plan,
            "revivals": self.revivals,
            "note": self.note,
            "asked": self.asked,
        }
        texts |= {"aggregate": at.aggregate.decode(), "failed_in": self.failed_in.value if self.failed_in else ""}
        texts |= {"error_code": error.code if error else "", "error_message": error.message if error else ""}
        texts |= {"error_resumable": int(error.resumable) if error else ""}
        if self.has_failed:
            texts |= {"error_hint": error.hint if error else ""}
            texts |= {"error_needed_credits": (error.needed_credits if error else None) or ""}
            texts |= {"error_credit_limit": (error.credit_limit if error else None) or ""}
        texts |= dict.fromkeys(TIMES, "")
        texts |= self.ahead.fields() if self.ahead else {}
        texts |= {"asked_request": self.asked_request} if self.asked else {}
        texts |= {"suspect": self.suspect} if self.suspect else {}
        return {name.encode(): str(text).encode() for name, text in texts.items()}
