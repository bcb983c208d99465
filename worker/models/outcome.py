"""The end of a sync: its failure, and the outcome of each cluster's persona. Pure data, kept in Redis as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class SyncFailure:
    """The failure of a sync.

    Attributes:
        code: Short name for programs, such as `segment_unauthorized`.
        message: What happened, and where.
        resumable: Whether `resume` can continue from the checkpoint.
        hint: What to do about it, in whole sentences. Empty if the message says all, or if an earlier version stored
            the failure with the advice in its message.
        needed_credits: Of `over_budget`: the credits that the sync would cost in all. None if not known.
        credit_limit: Of `over_budget`: the credits that it may cost. None if not known.
    """

    code: str
    message: str
    resumable: bool
    hint: str = ""
    needed_credits: int | None = None
    credit_limit: int | None = None

    @property
    def needs_other_options(self) -> bool:
        """Whether the same request fails again unless what it reads has changed."""
        return self.code in {"table_shape", "no_ids"}


@dataclass(frozen=True)
class PersonaOutcome:
    """The persona of one cluster, and what a sync did with it.

    Attributes:
        cluster: Key of the cluster.
        persona_id: Its persona at Mavera.
        action: `created`, `updated`, `unchanged` (up to date, so nothing was sent) or `skipped` (left as it was).
        credits: Charged for it by this sync.
        ignored: Fields that were sent and that Mavera dropped.
        reason: Of an update a phrase; of a skipped cluster `empty`, `too_small`, `no_evidence` or `partial`.
        twins: Ids of other personas at Mavera with the same reference, bought twice or copied by hand.
    """

    cluster: str
    persona_id: str
    action: str
    credits: int
    ignored: tuple[str, ...] = ()
    reason: str = ""
    twins: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Returns the outcome as stored in Redis. Empty `twins` are left out: earlier versions cannot read them."""
        fields = asdict(self)
        return fields if self.twins else {name: value for name, value in fields.items() if name != "twins"}

    @property
    def id(self) -> str:
        """The persona's id, by its name in JSON."""
        return self.persona_id

    @property
    def key(self) -> str:
        """The key of the cluster, by its name in JSON."""
        return self.cluster

    @property
    def skipped(self) -> bool:
        """Whether the persona does not describe what this sync has found."""
        return self.action == "skipped"
