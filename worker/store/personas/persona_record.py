"""What is known of a persona at Mavera, and a claim on one. Pure data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Literal

import orjson

from worker.clusters.analysis.change_detection import PersonaFigures
from worker.models.versions import known_fields


@dataclass(frozen=True)
class SentPersona:
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
    sent: SentPersona | None = None
    stored: bytes = field(default=b"", compare=False, repr=False)
    """The record as it was read, with what this version does not know; scripts compare it with what is there."""

    @property
    def as_stored(self) -> bytes:
        """What Redis holds, if the record is still as it was read."""
        return self.stored if self.stored and PersonaRecord.decode(self.stored) == self else self.encode()

    def encode(self) -> bytes:
        """The record as it stands in Redis; equal records have equal bytes, also those of earlier versions."""
        named, written = asdict(self), [one for one in fields(self) if one.name != "stored"]
        present = {one.name: named[one.name] for one in written if getattr(self, one.name) != one.default}
        return orjson.dumps(present, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, raw: bytes) -> PersonaRecord:
        """Reads what `encode` wrote."""
        found = known_fields("a persona's record", orjson.loads(raw), cls.__dataclass_fields__)
        if sent := found.get("sent"):
            sent = {name: sent[name] for name in SentPersona.__dataclass_fields__}
            known = PersonaFigures.__dataclass_fields__
            figures = {name: value for name, value in sent["figures"].items() if name in known}
            found["sent"] = SentPersona(**{**sent, "figures": PersonaFigures(**figures)})
        found.pop("stored", None)
        return cls(**found, stored=raw)


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
