"""The record of a persona, and a claim on one. Pure data, stored in Redis as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Literal

import orjson

from worker.clusters.analysis.change_detection import PersonaFigures
from worker.models.versions import known_fields


@dataclass(frozen=True)
class SentPersona:
    """The figures that were last sent for a persona, and a digest of its text.

    Attributes:
        wording: Digest of everything in the payload that is not a figure.
        figures: The figures of the payload.
        at: When it was sent, Unix seconds by the clock of Redis.
    """

    wording: str
    figures: PersonaFigures
    at: float


@dataclass(frozen=True)
class PersonaRecord:
    """The persona of one cluster.

    Attributes:
        persona_id: Its id at Mavera.
        space_id: The space whose cluster it describes.
        cluster: Key of the cluster.
        sync_id: The last sync that updated it, or found it up to date.
        n: Profiles of the cluster at that time.
        collection: Collection of the space.
        rules: Name of the rules.
        complete: Whether its text describes all profiles of the space.
        sent: What was last sent. None if its text is not known, because it was found at Mavera, adopted, or recorded
            by an earlier version.
        stored: The bytes that were read from Redis, with the fields that this version does not know. Scripts compare
            them with the present ones.
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

    @property
    def as_stored(self) -> bytes:
        """The bytes that Redis holds: those that were read if the record is unchanged, otherwise the encoded record."""
        return self.stored if self.stored and PersonaRecord.decode(self.stored) == self else self.encode()

    def encode(self) -> bytes:
        """Encodes the record as JSON. Equal records have equal bytes, also those of earlier versions."""
        named, written = asdict(self), [one for one in fields(self) if one.name != "stored"]
        present = {one.name: named[one.name] for one in written if getattr(self, one.name) != one.default}
        return orjson.dumps(present, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def decode(cls, raw: bytes) -> PersonaRecord:
        """Decodes what `encode` wrote.

        Raises:
            NewerVersion: A newer version of the program wrote it.
        """
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

    Attributes:
        by: Token of the attempt that took it.
        sync_id: The sync of that attempt.
        age_s: Seconds since it was taken, by the clock of Redis. Only shown, because that clock may step.
        settle_s: Settle time of the claimant in seconds (`MAVERA_SETTLE_S`); 0 if it is not known.
    """

    by: str
    sync_id: str
    age_s: float
    settle_s: float = 0.0


@dataclass(frozen=True)
class ClaimAnswer:
    """The answer to a request for a claim.

    Attributes:
        kind: `won`: the caller may send its `POST`; `held`: another attempt has the claim; `recorded`: the cluster has
            a persona.
        claim: The other claim, if it is held.
        record: The record of the persona, if it is recorded.
    """

    kind: Literal["won", "held", "recorded"]
    claim: Claim | None = None
    record: PersonaRecord | None = None
