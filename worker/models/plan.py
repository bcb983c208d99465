"""The plan of a sync: for each cluster an action with its reason, the payload, and the changes at Mavera.

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
    """The planned action for one cluster's persona.

    Attributes:
        cluster: Key of the cluster.
        action: What would be done.
        reason: Why; a word for a skip, otherwise a phrase.
        persona_id: Id of the persona; None if there is none.
        credits: Credits that it would cost.
        payload: The fields that would be sent.
        current: The same fields as Mavera shows them; None if there is no persona, or if Mavera does not show it.
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
    """The credits of a Mavera account at one moment. A field is None if the account did not report it.

    Attributes:
        text: The credits in a phrase.
        used: Credits used in the billing period.
        included: Credits that the period includes.
        remaining: Credits that are left of them.
        available: Credits that can be spent before Mavera refuses; None if no bound is known.
        period_start: First day of the billing period, UTC.
        period_end: End of the billing period, UTC.
        auto_recharge: Whether Mavera buys more credits by itself.
        usage_limit: Most credits that may be used in the period.
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
    """Compares the credits that a sync was charged with those that its account counted meanwhile.

    Attributes:
        before: The account before the sync's first change.
        at: When that was read, in Unix seconds.
        charged_before: Credits that the sync had been charged by then.
        after: The account after the sync's changes; None until then.
        charged: Credits that the sync was charged between the two readings.
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
        """Describes the difference in a sentence; empty if there is none."""
        if not self.difference:
            return ""
        counted = f"Mavera counted {self.billed:,} credits during this sync, but the sync was charged {self.charged:,}"
        if self.difference > 0:
            return (
                f"{counted}. Other syncs and other use of the account can explain the difference of "
                f"{self.difference:,}; if there were none, check the usage of the account at Mavera"
            )
        return f"{counted}. Mavera's count may be behind"


class Orphan(BaseModel):
    """A persona of this space and these rules whose cluster is no longer in the rules.

    Attributes:
        persona_id: Id of the persona.
        cluster: Key of its cluster; empty if it is not known.
    """

    model_config = ConfigDict(frozen=True)

    persona_id: str
    cluster: str = ""


class Plan(BaseModel):
    """The planned actions for the personas of all clusters.

    Attributes:
        version: Version of this format.
        personas: One entry for each cluster, in the order of the rules.
        max_credits: The sync's budget in credits; None if it has none.
        alarms: Why a guard would stop the sync, one sentence each.
        account: Credits of the Mavera account; None if they were not requested.
        orphans: Personas that no sync with these rules updates any more.
        alarm_codes: The code of each alarm; empty in plans of older versions.
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
        """Whether the plan costs more than the account can spend, so that applying it would buy nothing."""
        return self.account is not None and self.account.available is not None and self.credits > self.account.available

    alarm_codes: tuple[str, ...] = ()

    @property
    def credits(self) -> int:
        """Credits that it costs to apply the plan."""
        return sum(persona.credits for persona in self.personas)

    @property
    def creates(self) -> bool:
        """Whether the plan creates a persona."""
        return any(persona.action == "create" for persona in self.personas)

    @property
    def over_budget(self) -> bool:
        """Whether the plan costs more than the budget, so that applying it would buy nothing."""
        return self.max_credits is not None and self.credits > self.max_credits

    def encode(self) -> str:
        """Encodes the plan as JSON, for Redis."""
        return self.model_dump_json()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Decodes what `encode` wrote; returns None for an empty text. Raises NewerVersion."""
        if not text:
            return None
        check_document_version("a plan", text, 1)
        return cls.model_validate_json(text)


@dataclass(frozen=True)
class Change:
    """A field of a persona that would change.

    Attributes:
        field: Name of the field; `outer.inner` if it is nested.
        before: Its value at Mavera; None if it is missing.
        after: The value that would be sent.
    """

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
