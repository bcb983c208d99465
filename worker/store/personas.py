"""Which persona belongs to which cluster, and who is buying one at the moment.

A *record* (reference → persona) never expires: it is what keeps a nightly sync from buying again, and, as it holds what
was last sent, from sending it again. A *claim* is taken
before a `POST` and ends with the record or with a definite refusal; it never expires either, because a claim without a
record means that a persona may have been bought. Both are kept per account: Mavera base URL and kind of key.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson

from worker.clusters.analysis.change_detection import PersonaFigures
from worker.models.sync import PersonaOutcome
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.connection.steadiness import WATCHED
from worker.store.scripts import connection as connection_scripts
from worker.store.scripts import persona as persona_scripts
from worker.store.scripts.sync import BusySync
from worker.store.sync_progress import LeaseGrant

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = {"localhost", "::1"}


def account_name(base_url: str, api_key: str) -> str:
    """The account's name in keys: a digest of where Mavera is, and whether the key is a live or a test one.

    Spellings of one URL have one name, so that workers that are configured differently know each other's personas.
    """
    return _account_name(normal_url(base_url), api_key)


def former_account_name(base_url: str, api_key: str) -> str:
    """The name that earlier versions gave the account: of the URL as it is spelled. Empty if it is the same."""
    former = _account_name(base_url, api_key)
    return "" if former == account_name(base_url, api_key) else former


def normal_url(base_url: str) -> str:
    """One spelling of a base URL: scheme and host in lower case, no default port, no empty parts of the path.

    The names of this machine (`localhost`, `::1`) become 127.0.0.1.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    host = "127.0.0.1" if host in _LOOPBACK else f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{re.sub('/+', '/', parts.path).rstrip('/')}"


def _account_name(url: str, api_key: str) -> str:
    kind = "test" if api_key.startswith("mvra_test_") else "live"
    return f"{kind}-{hashlib.blake2b(url.encode(), digest_size=6).hexdigest()}"


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


class PersonaStore:
    """Records and claims of one Mavera account.

    former: another name that the account had (`former_account_name`); what is found under it is moved, and a claim
    under it counts.
    """

    def __init__(self, pool: StorePool, account: str, former: str = "") -> None:
        self._pool = pool
        self._account = account
        self._former = former

    async def find(self, reference: str) -> PersonaRecord | None:
        """The persona of a reference, if we know one."""
        raw = await self._pool.hash_field(keys.personas(self._account), reference)
        if raw is None and self._former:
            raw = await self._pool.hash_field(keys.personas(self._former), reference)
            if raw:
                await self._move({reference: raw})
        return PersonaRecord.decode(raw) if raw else None

    async def all(self) -> dict[str, PersonaRecord]:
        """Every record of the account, by reference."""
        if self._former:
            former = await self._pool.hash_fields(keys.personas(self._former))
            await self._move({reference.decode(): raw for reference, raw in former.items()})
        found = await self._pool.hash_fields(keys.personas(self._account))
        return {reference.decode(): PersonaRecord.decode(raw) for reference, raw in found.items()}

    async def _move(self, records: dict[str, bytes]) -> None:
        """Moves records from the account's former name; one that the account has already stays."""
        for reference, raw in records.items():
            await self._pool.hsetnx(keys.personas(self._account), reference, raw)  # type: ignore[misc, arg-type]
            await self._pool.hdel(keys.personas(self._former), reference)  # type: ignore[misc]

    async def claimed(self, reference: str) -> Claim | None:
        """The claim on a persona: somebody buys it, or may have bought it. None if nobody does."""
        for account in filter(None, (self._account, self._former)):
            if held := await self._pool.hash_fields(keys.claim(account, reference)):
                age_s = await self.now() - int(held[b"at"]) / 1000
                settle_s = int(held.get(b"settle_ms", b"0")) / 1000
                return Claim(held[b"by"].decode(), held[b"sync"].decode(), age_s, settle_s)
        return None

    async def claim(self, lease: LeaseGrant, reference: str, by: str, *, settle_s: float = 0.0) -> ClaimAnswer:
        """Asks for the right to buy.

        Args:
            lease: Of the job that asks.
            reference: Of the persona.
            by: Names this attempt.
            settle_s: Seconds after which the caller's settings take a POST for lost; kept with the claim.

        Raises:
            LeaseLost: The job no longer owns its sync.
        """
        if self._former and (earlier := await self._former_answer(reference)):
            return earlier
        answer = await persona_scripts.claim(
            self._pool,
            claim=keys.claim(self._account, reference),
            personas=keys.personas(self._account),
            sync=keys.sync(lease.sync_id),
            lease=lease,
            reference=reference,
            by=by,
            settle_ms=round(settle_s * 1000),
        )
        match answer:
            case persona_scripts.ClaimHeld(holder, sync_id, age_ms, settle_ms):
                return ClaimAnswer("held", claim=Claim(holder, sync_id, age_ms / 1000, settle_ms / 1000))
            case persona_scripts.PersonaRecorded(record):
                return ClaimAnswer("recorded", record=PersonaRecord.decode(record))
            case _:
                return ClaimAnswer("won")

    async def _former_answer(self, reference: str) -> ClaimAnswer | None:
        """What stands under the account's former name in the way of a purchase."""
        await self.find(reference)  # moves a record to where the script sees it
        if await self._pool.exists(keys.claim(self._former, reference)):
            return ClaimAnswer("held", claim=await self.claimed(reference))
        return None

    async def release(self, reference: str, by: str) -> bool:
        """Ends a claim that bought nothing. False if it was no longer the claim of `by`."""
        accounts = filter(None, (self._account, self._former))
        answers = [
            await persona_scripts.release_claim(self._pool, claim=keys.claim(account, reference), by=by)
            for account in accounts
        ]
        return persona_scripts.Change.OK in answers

    async def record(
        self, reference: str, record: PersonaRecord, outcome: PersonaOutcome, *, fetched_at: float | None = None
    ) -> None:
        """Keeps the persona, ends its claim, and notes the outcome at the sync, in whatever state that is.

        fetched_at: of the statistics that it was made from (`StartedJob`); if the sync has others by now, its outcome
        is not noted. None: it does not depend on them. The sync's credits count a persona once, however often and by
        whichever of its jobs it is recorded.
        """
        await persona_scripts.record(
            self._pool,
            personas=keys.personas(self._account),
            claim=keys.claim(self._account, reference),
            sync=keys.sync(record.sync_id),
            outcomes=keys.outcomes(record.sync_id),
            reference=reference,
            record=record.encode(),
            cluster=outcome.cluster,
            outcome=orjson.dumps(outcome.as_json()),
            persona_id=outcome.persona_id,
            credits=outcome.credits,
            fetched_at=None if fetched_at is None else round(fetched_at * 1000),
        )
        if self._former:
            await self._pool.delete(keys.claim(self._former, reference))

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
        await persona_scripts.keep(
            self._pool,
            personas=keys.personas(self._account),
            sync=keys.sync(lease.sync_id),
            outcomes=keys.outcomes(lease.sync_id),
            lease=lease,
            reference=reference,
            before=before.encode() if before else b"",
            after=after.encode() if after else b"",
            cluster=outcome.cluster,
            outcome=orjson.dumps(outcome.as_json()),
        )

    async def forget(self, reference: str, record: PersonaRecord) -> bool:
        """Forgets a persona. False if another has been recorded meanwhile, which stays."""
        answer = await persona_scripts.forget(
            self._pool, personas=keys.personas(self._account), reference=reference, record=record.encode()
        )
        return answer is persona_scripts.Change.OK

    async def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        """Records a persona that somebody names; nobody is in doubt any more whether there is one.

        Returns `ok`, `exists` (the cluster has another), or the id of a sync of `identity` that runs: it may be buying.
        """
        answer = await persona_scripts.adopt(
            self._pool,
            personas=keys.personas(self._account),
            claim=keys.claim(self._account, reference),
            active=keys.active(identity),
            reference=reference,
            record=record.encode(),
            account=self._account,
        )
        return answer.sync_id if isinstance(answer, BusySync) else answer.value

    async def rename(self, old: str, new: str, before: PersonaRecord, after: PersonaRecord, identity: str) -> str:
        """Moves a persona from the reference `old` to `new`, where it is `after`.

        Returns `ok`, `changed` (it is no longer `before`), `exists` (`new` has a persona), `doubt` (one may have been
        bought for `new`), or the id of a sync of `identity` that runs.
        """
        answer = await persona_scripts.rename(
            self._pool,
            personas=keys.personas(self._account),
            claim=keys.claim(self._account, new),
            active=keys.active(identity),
            old=old,
            new=new,
            before=before.encode(),
            after=after.encode(),
            account=self._account,
        )
        return answer.sync_id if isinstance(answer, BusySync) else answer.value

    async def now(self) -> float:
        """Unix seconds by the clock of Redis."""
        seconds, micros = await self._pool.time()
        return int(seconds) + int(micros) / 1e6

    async def redis_run(self) -> tuple[str, float]:
        """Redis' run, and for how many seconds nothing can have been lost: since it started, or took over.

        A power cut can take a claim and its record with it, and the very memory that there was one before; a replica
        that takes over may lack both, and so does a Redis that was emptied, which gets another run here. So for a while
        after any of these, absence proves nothing. The seconds are by the clock of Redis' host: see `SettleWatch`.
        """
        run, age_s = await self._pool.server_run()
        if run.startswith(WATCHED):
            return run, age_s
        seen = await connection_scripts.note_restart(
            self._pool, noted=keys.RUN, run_id=run, permanent=math.isinf(age_s)
        )
        since_change_s = seen.since_ms / 1000
        name = f"{run}@{seen.mark}" if seen.mark else run
        return name, age_s if since_change_s < 0 else min(age_s, since_change_s)
