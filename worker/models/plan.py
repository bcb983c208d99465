"""What a sync would do at Mavera: for each cluster an action with its reason, the payload, and what it would change.

Pure data. The finalizer of a preview makes it, `worker.store` keeps it with the sync, and `producer` shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from worker.clusters.statistics.serialization import check_document_version


class PlannedPersona(BaseModel):
    """What would become of one cluster's persona.

    reason: of a skip a word, else a phrase. persona_id: None if it has none. credits: what it would cost. payload: what
    would be sent. current: what Mavera shows of the same fields; None if there is no persona, or if it shows nothing.
    """

    model_config = ConfigDict(frozen=True)

    cluster: str
    action: Literal["create", "update", "leave", "skip"]
    reason: str
    persona_id: str | None
    credits: int
    payload: Mapping[str, Any]
    current: Mapping[str, Any] | None

    @property
    def changes(self) -> tuple[Change, ...]:
        """The fields that would change, in the payload's order."""
        return tuple(_changes(self.payload, self.current or {}))


class AccountCredits(BaseModel):
    """What a Mavera account said of its credits at one moment; None: it did not say.

    text: all of it in a phrase. available: what can be spent before Mavera refuses; None: no bound is known.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    used: int | None = None
    included: int | None = None
    remaining: int | None = None
    available: int | None = None
    period_start: date | None = None
    period_end: date | None = None
    auto_recharge: bool | None = None
    usage_limit: int | None = None


class AccountBill(BaseModel):
    """What a sync was charged, beside what its account counted from before its first change to its end.

    before, after: the two readings; after is None until the sync has made its changes. at: of the first reading, Unix
    seconds. charged_before: credits of the sync by then. charged: credits of the sync between the two.
    """

    model_config = ConfigDict(frozen=True)

    before: AccountCredits
    at: float
    charged_before: int = 0
    after: AccountCredits | None = None
    charged: int = 0

    @property
    def billed(self) -> int | None:
        """Credits that the account counted between the readings; None if that is not known, or the period changed."""
        if self.after is None or self.before.used is None or self.after.used is None:
            return None
        if self.before.period_start != self.after.period_start or self.after.used < self.before.used:
            return None
        return self.after.used - self.before.used

    @property
    def difference(self) -> int | None:
        """Credits that the account counted beyond what the sync was charged; negative if it counted fewer."""
        return None if self.billed is None else self.billed - self.charged

    def describe(self) -> str:
        """A difference in a sentence; empty if there is none."""
        if not self.difference:
            return ""
        counted = f"Mavera counted {self.billed:,} credits during this sync, which was charged {self.charged:,}"
        if self.difference > 0:
            return (
                f"{counted}: {self.difference:,} more. Others who used the account meanwhile explain that; if nobody "
                "did, look at its usage at Mavera"
            )
        return f"{counted}. Mavera's count may be behind"


class Orphan(BaseModel):
    """A persona of this space and these rules whose cluster is not in the rules. cluster: its key; "": not known."""

    model_config = ConfigDict(frozen=True)

    persona_id: str
    cluster: str = ""


class Plan(BaseModel):
    """A plan.

    max_credits: the budget under which it was made; None: without one. alarms: for what a guard would stop it, in
    sentences, unless it is accepted. account: what the Mavera account has left; None: it was not asked. orphans:
    personas that no sync with these rules updates any more.
    sentences, unless it is accepted. alarm_codes: the code of each alarm; empty in plans of older versions.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 1
    personas: tuple[PlannedPersona, ...] = ()
    max_credits: int | None = None
    alarms: tuple[str, ...] = ()
    account: AccountCredits | None = None
    orphans: tuple[Orphan, ...] = ()

    @property
    def exceeds_account(self) -> bool:
        """Whether it costs more than the account can spend, so that applying it would buy nothing."""
        return self.account is not None and self.account.available is not None and self.credits > self.account.available

    alarm_codes: tuple[str, ...] = ()

    @property
    def credits(self) -> int:
        """What it costs to carry it out."""
        return sum(persona.credits for persona in self.personas)

    @property
    def creates(self) -> bool:
        """Whether it would create a persona."""
        return any(persona.action == "create" for persona in self.personas)

    @property
    def over_budget(self) -> bool:
        """Whether it costs more than the budget allows, so that applying it would buy nothing."""
        return self.max_credits is not None and self.credits > self.max_credits

    def encode(self) -> str:
        """The plan as it stands in Redis."""
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Reads what `encode` wrote; None if there is nothing. Raises NewerVersion."""
        if not text:
            return None
        check_document_version("a plan", text, 1)
        return cls.model_validate_json(text)


@dataclass(frozen=True)
class Change:
    """A field of a persona that would change: `outer.inner` if nested. before: None if it is not there."""

    field: str
    before: object
    after: object


def _changes(payload: Mapping[str, Any], current: Mapping[str, Any], prefix: str = "") -> Iterator[Change]:
    for name, after in payload.items():
        before = current.get(name)
        if isinstance(after, Mapping) and isinstance(before, Mapping | None):
            yield from _changes(after, before or {}, f"{prefix}{name}.")
        elif before != after:
            yield Change(prefix + name, before, after)
