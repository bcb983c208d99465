"""Which persona belongs to which cluster.

A record (reference → persona) never expires: it keeps a nightly sync from buying again and, as it holds what was last
sent, from sending it again. Records are kept per account: Mavera base URL and kind of key.
"""

from __future__ import annotations

import logging

import orjson

from worker.models.outcome import PersonaOutcome
from worker.models.versions import NewerVersion
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.documents.sync_progress import LeaseGrant
from worker.store.personas.persona_record import PersonaRecord
from worker.store.scripts import persona as persona_scripts
from worker.store.scripts.sync import BusySync

log = logging.getLogger("segment_personas.store")


class PersonaRecords:
    """The records of one Mavera account.

    Args:
        pool: Redis.
        account: Name of the account in keys.
        former: Another name that the account had (`former_account_name`); what is found under it is moved.
    """

    def __init__(self, pool: StorePool, account: str, former: str = "") -> None:
        self._pool = pool
        self._account = account
        self._former = former

    async def find_record(self, reference: str) -> PersonaRecord | None:
        """The persona of a reference, if we know one."""
        raw = await self._pool.hash_field(keys.personas(self._account), reference)
        if raw is None and self._former:
            raw = await self._pool.hash_field(keys.personas(self._former), reference)
            if raw:
                await self._move({reference: raw})
        return PersonaRecord.decode(raw) if raw else None

    async def all_records(self) -> dict[str, PersonaRecord]:
        """Every record of the account, by reference."""
        if self._former:
            former = await self._pool.hash_fields(keys.personas(self._former))
            await self._move({reference.decode(): raw for reference, raw in former.items()})
        found = await self._pool.hash_fields(keys.personas(self._account))
        records = {}
        for reference, raw in found.items():
            try:
                records[reference.decode()] = PersonaRecord.decode(raw)
            except NewerVersion as error:
                log.warning("a persona's record is left out: %s", error)
        return records

    async def record_unsent(
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
        await persona_scripts.record_unsent(
            self._pool,
            personas=keys.personas(self._account),
            sync=keys.sync(lease.sync_id),
            outcomes=keys.outcomes(lease.sync_id),
            lease=lease,
            reference=reference,
            before=before.as_stored if before else b"",
            after=after.encode() if after else b"",
            cluster=outcome.cluster,
            outcome=orjson.dumps(outcome.as_json()),
        )

    async def delete_record(self, reference: str, record: PersonaRecord) -> bool:
        """Forgets a persona. False if another has been recorded meanwhile, which stays."""
        answer = await persona_scripts.delete_record(
            self._pool, personas=keys.personas(self._account), reference=reference, record=record.as_stored
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
            before=before.as_stored,
            after=after.encode(),
            account=self._account,
        )
        return answer.sync_id if isinstance(answer, BusySync) else answer.value

    async def now(self) -> float:
        """Unix seconds by the clock of Redis."""
        seconds, micros = await self._pool.time()
        return int(seconds) + int(micros) / 1e6

    async def _move(self, records: dict[str, bytes]) -> None:
        """Moves records from the account's former name; one that the account has already stays."""
        for reference, raw in records.items():
            await self._pool.hsetnx(keys.personas(self._account), reference, raw)  # type: ignore[misc, arg-type]
            await self._pool.hdel(keys.personas(self._former), reference)  # type: ignore[misc]
