"""What is known of a persona at Mavera, and a claim on one. Pure data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import orjson

from worker.clusters.analysis.change_detection import PersonaFigures


@dataclass(frozen=True)
class Sent:
    """What a persona was last sent. wording: digest of all that is no figure. at: Unix seconds by Redis' clock."""

    wording: str
    figures: PersonaFigures
    at: float


@dataclass(frozen=True)
class PersonaRecord:
    """A persona that we know of.

    sync_id: the last sync that updated it, or saw that it is up to date. n: profiles of the cluster then. complete:
    whether what it says comes from all profiles of the space. sent: None if it is not known what it says: it was found
    at Mavera, adopted, or recorded by an earlier version.
    """

    persona_id: str
    space_id: str
    cluster: str
    sync_id: str
    n: int
    collection: str = "users"
    rules: str = "recipe"
    complete: bool = True
    sent: Sent | None = None

    def encode(self) -> bytes:
        """The record as it stands in Redis; equal records have equal bytes, also those of earlier versions."""
        named = asdict(self)
        present = {one.name: named[one.name] for one in fields(self) if getattr(self, one.name) != one.default}
        return orjson.dumps(present, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, raw: bytes) -> PersonaRecord:
        """Reads what `encode` wrote."""
        found: dict[str, Any] = orjson.loads(raw)
        if sent := found.get("sent"):
            found["sent"] = Sent(**{**sent, "figures": PersonaFigures(**sent["figures"])})
        return cls(**found)


@dataclass(frozen=True)
class Claim:
    """A claim on a persona.

    by: which attempt took it. age_s: seconds since then, by Redis' clock; for people only, because that clock may step.
    settle_s: seconds after which the claimant's own settings take its POST for lost; 0: not known.
    """

    by: str
    sync_id: str
    age_s: float
    settle_s: float = 0.0


@dataclass(frozen=True)
class ClaimAnswer:
    """`won`: send the `POST`. `held`: see `claim`. `recorded`: there is a persona already, see `record`."""

    kind: Literal["won", "held", "recorded"]
    claim: Claim | None = None
    record: PersonaRecord | None = None
