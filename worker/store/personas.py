"""Which persona belongs to which cluster, and who is buying one at the moment.

A *record* (reference → persona) never expires: it is what keeps a nightly sync from buying again, and, as it holds what
was last sent, from sending it again. A *claim* is taken
before a `POST` and ends with the record or with a definite refusal; it never expires either, because a claim without a
record means that a persona may have been bought. Both are kept per account: Mavera base URL and kind of key.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import orjson

from worker.clusters.figures import Figures
from worker.errors import LeaseLost
from worker.store import keys
from worker.store.pool import StorePool
from worker.store.scripts import run_script
from worker.store.steadiness import WATCHED
from worker.store.syncs import LeaseGrant
from worker.sync import PersonaOutcome


def account_name(base_url: str, api_key: str) -> str:
    """The account's name in keys: a digest of where Mavera is, and whether the key is a live or a test one."""
    kind = "test" if api_key.startswith("mvra_test_") else "live"
    return f"{kind}-{hashlib.blake2b(base_url.encode(), digest_size=6).hexdigest()}"


@dataclass(frozen=True)
class Sent:
    """What a persona was last sent. wording: digest of all that is no figure. at: Unix seconds by Redis' clock."""

    wording: str
    figures: Figures
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
            found["sent"] = Sent(**{**sent, "figures": Figures(**sent["figures"])})
        return cls(**found)


@dataclass(frozen=True)
class Claim:
    """Somebody else's claim on a persona. by: which attempt. age_s: seconds since it was taken, by Redis' clock."""

    by: str
    sync_id: str
    age_s: float


@dataclass(frozen=True)
class ClaimAnswer:
    """`won`: send the `POST`. `held`: see `claim`. `recorded`: there is a persona already, see `record`."""

    kind: Literal["won", "held", "recorded"]
    claim: Claim | None = None
    record: PersonaRecord | None = None


class PersonaStore:
    """Records and claims of one Mavera account."""

    def __init__(self, pool: StorePool, account: str) -> None:
        self._pool = pool
        self._account = account

    async def find(self, reference: str) -> PersonaRecord | None:
        """The persona of a reference, if we know one."""
        raw = await self._pool.hash_field(keys.personas(self._account), reference)
        return PersonaRecord.decode(raw) if raw else None

    async def all(self) -> dict[str, PersonaRecord]:
        """Every record of the account, by reference."""
        found = await self._pool.hash_fields(keys.personas(self._account))
        return {reference.decode(): PersonaRecord.decode(raw) for reference, raw in found.items()}

    async def claimed(self, reference: str) -> Claim | None:
        """The claim on a persona: somebody buys it, or may have bought it. None if nobody does."""
        held = await self._pool.hash_fields(keys.claim(self._account, reference))
        if not held:
            return None
        age_s = await self.now() - int(held[b"at"]) / 1000
        return Claim(held[b"by"].decode(), held[b"sync"].decode(), age_s)

    async def claim(self, lease: LeaseGrant, reference: str, by: str) -> ClaimAnswer:
        """Asks for the right to buy. `by` names this attempt. Raises LeaseLost if the job no longer owns its sync."""
        answer = await run_script(
            self._pool,
            "claim",
            [keys.claim(self._account, reference), keys.personas(self._account), keys.sync(lease.sync_id)],
            *(by, reference, lease.sync_id, lease.epoch, lease.holder),
        )
        match answer[0]:
            case "won":
                return ClaimAnswer("won")
            case "held":
                claim = Claim(answer[1].decode(), answer[2].decode(), int(answer[3]) / 1000)
                return ClaimAnswer("held", claim=claim)
            case "recorded":
                return ClaimAnswer("recorded", record=PersonaRecord.decode(answer[1]))
            case _:
                raise LeaseLost(f"the sync is now {answer[1].decode()}, epoch {answer[2].decode()}")

    async def release(self, reference: str, by: str) -> bool:
        """Ends a claim that bought nothing. False if it was no longer the claim of `by`."""
        answer = await run_script(self._pool, "release", [keys.claim(self._account, reference)], by)
        return bool(answer[0] == "ok")

    async def record(
        self, reference: str, record: PersonaRecord, outcome: PersonaOutcome, *, fetched_at: float | None = None
    ) -> None:
        """Keeps the persona, ends its claim, and notes the outcome at the sync, in whatever state that is.

        fetched_at: of the statistics that it was made from (`Begun`); if the sync has others by now, its outcome is not
        noted. None: it does not depend on them. The sync's credits count a persona once, however often and by whichever
        of its jobs it is recorded.
        """
        await run_script(
            self._pool,
            "record",
            [
                keys.personas(self._account),
                keys.claim(self._account, reference),
                keys.sync(record.sync_id),
                keys.outcomes(record.sync_id),
            ],
            *(reference, record.encode()),
            *(outcome.cluster, orjson.dumps(asdict(outcome)), outcome.persona_id, outcome.credits),
            "" if fetched_at is None else round(fetched_at * 1000),
        )

    async def leave(
        self,
        lease: LeaseGrant,
        reference: str,
        before: PersonaRecord | None,
        after: PersonaRecord | None,
        outcome: PersonaOutcome,
    ) -> None:
        """Notes the outcome of a cluster for which nothing is sent, and replaces the record if it is still `before`.

        Raises LeaseLost if the job no longer owns its sync; one that has just completed it still may.
        """
        answer = await run_script(
            self._pool,
            "leave",
            [keys.personas(self._account), keys.sync(lease.sync_id), keys.outcomes(lease.sync_id)],
            *(lease.epoch, lease.holder, reference),
            *(before.encode() if before else b"", after.encode() if after else b""),
            *(outcome.cluster, orjson.dumps(asdict(outcome))),
        )
        if answer[0] == "stale":
            raise LeaseLost(f"the sync is now {answer[1].decode()}, epoch {answer[2].decode()}")

    async def forget(self, reference: str, record: PersonaRecord) -> bool:
        """Forgets a persona. False if another has been recorded meanwhile, which stays."""
        answer = await run_script(self._pool, "forget", [keys.personas(self._account)], reference, record.encode())
        return bool(answer[0] == "ok")

    async def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        """Records a persona that somebody names; nobody is in doubt any more whether there is one.

        Returns `ok`, `exists` (the cluster has another), or the id of a sync of `identity` that runs: it may be buying.
        """
        answer = await run_script(
            self._pool,
            "adopt",
            [keys.personas(self._account), keys.claim(self._account, reference), keys.active(identity)],
            *(reference, record.encode(), self._account),
        )
        return answer[1].decode() if answer[0] == "busy" else str(answer[0])

    async def rename(self, old: str, new: str, before: PersonaRecord, after: PersonaRecord, identity: str) -> str:
        """Moves a persona from the reference `old` to `new`, where it is `after`.

        Returns `ok`, `changed` (it is no longer `before`), `exists` (`new` has a persona), `doubt` (one may have been
        bought for `new`), or the id of a sync of `identity` that runs.
        """
        answer = await run_script(
            self._pool,
            "rename",
            [keys.personas(self._account), keys.claim(self._account, new), keys.active(identity)],
            *(old, new, before.encode(), after.encode(), self._account),
        )
        return answer[1].decode() if answer[0] == "busy" else str(answer[0])

    async def now(self) -> float:
        """Unix seconds by the clock of Redis."""
        seconds, micros = await self._pool.time()
        return int(seconds) + int(micros) / 1e6

    async def redis_run(self) -> tuple[str, float]:
        """Redis' run id, and for how many seconds nothing can have been lost: since it started, or took over.

        A power cut can take a claim and its record with it, and the very memory that there was one before; a replica
        that takes over may lack both. So for a while after either, absence proves nothing.
        """
        run, age_s = await self._pool.server_run()
        if run.startswith(WATCHED):
            return run, age_s
        answer = await run_script(self._pool, "note_run", [keys.RUN], run)
        since_change_s = int(answer[1]) / 1000
        return run, age_s if since_change_s < 0 else min(age_s, since_change_s)
