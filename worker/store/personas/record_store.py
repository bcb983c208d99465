"""The records of personas: which persona belongs to which cluster, and what was last sent for it.

A record (reference → persona) never expires. It prevents a nightly sync from buying a persona again, or from sending
the same text again. Each Mavera account (`account_name`) has its own records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

import orjson

from worker.models.outcome import PersonaOutcome
from worker.models.versions import NewerVersion
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.personas.persona_record import PersonaRecord
from worker.store.progress.sync_progress import LeaseGrant
from worker.store.scripts import persona as persona_scripts
from worker.store.scripts.sync import BusySync

log = logging.getLogger("segment_personas.store")


class RecordStore:
    """The records of one Mavera account.

    Args:
        pool: Client of Redis.
        account: Name of the account in keys.
        former: The name that earlier versions gave the account (`former_account_name`). Records under it are moved.
        inherits: Another account whose records of the spaces that `owns` names are moved, too; empty: none.
        owns: Returns whether a space belongs to this account.
    """

    def __init__(
        self,
        pool: StorePool,
        account: str,
        former: str = "",
        *,
        inherits: str = "",
        owns: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._pool = pool
        self._account = account
        self._formers = tuple(filter(None, (former, inherits)))
        self._inherits = inherits
        self._owns = owns

    async def find_record(self, reference: str) -> PersonaRecord | None:
        """Returns the record of a reference; None if there is none.

        Raises:
            NewerVersion: A newer version of the program wrote it.
        """
        raw = await self._pool.hash_field(keys.personas(self._account), reference)
        for former in self._formers if raw is None else ():
            raw = await self._pool.hash_field(keys.personas(former), reference)
            if raw:
                await self._move_from(former, {reference: raw})
                break
        return PersonaRecord.decode(raw) if raw else None

    async def find_records(self, references: Sequence[str]) -> list[PersonaRecord | None]:
        """Returns the records of several references, as `find_record` does for one of them."""
        raws = await self._pool.hash_some(keys.personas(self._account), references)
        records = [PersonaRecord.decode(raw) if raw else None for raw in raws]
        if self._formers:
            pairs = zip(references, records, strict=True)
            return [record or await self.find_record(reference) for reference, record in pairs]
        return records

    async def all_records(self) -> dict[str, PersonaRecord]:
        """Returns all records of the account by reference. Records of newer versions are left out and logged."""
        return dict(await self.read_records())

    async def read_records(self) -> Iterator[tuple[str, PersonaRecord]]:
        """Returns what `all_records` returns, as pairs that are decoded only when they are used."""
        for former in self._formers:
            raws = await self._pool.hash_fields(keys.personas(former))
            moved = {name.decode(): raw for name, raw in raws.items() if former != self._inherits or self._is_own(raw)}
            await self._move_from(former, moved)
        return _decode_all(await self._pool.hash_fields(keys.personas(self._account)))

    async def record_unsent(
        self,
        lease: LeaseGrant,
        reference: str,
        before: PersonaRecord | None,
        after: PersonaRecord | None,
        outcome: PersonaOutcome,
    ) -> None:
        """Stores the outcome of a cluster for which nothing was sent, and replaces the record if it is still `before`.

        Args:
            lease: Of the job.
            reference: Of the persona.
            before: The record that the job read; None if there was none.
            after: The record to store; None leaves it unchanged.
            outcome: What the sync did for the cluster.

        Raises:
            LeaseLost: The job no longer owns its sync, and has not just completed it.
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
        """Deletes a record if it is still `record`.

        Returns:
            Whether it was deleted. False if another persona was recorded for the reference in the meantime.
        """
        answer = await persona_scripts.delete_record(
            self._pool, personas=keys.personas(self._account), reference=reference, record=record.as_stored
        )
        return answer is persona_scripts.Change.OK

    async def adopt(self, reference: str, record: PersonaRecord, identity: str) -> str:
        """Records a persona that a user names, and ends a claim on it.

        Args:
            reference: Of the persona.
            record: The record to store.
            identity: Of the syncs that may be buying it.

        Returns:
            `ok`, `exists` (the cluster has another persona), or the id of a running sync of `identity`.
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
        """Moves the record of a persona to another reference.

        Args:
            old: Its present reference.
            new: Its new reference.
            before: The record under `old`.
            after: The record to store under `new`.
            identity: Of the syncs that may be buying personas for these clusters.

        Returns:
            `ok`, `changed` (the record is no longer `before`), `exists` (`new` has a persona), `doubt` (one may have
            been bought for `new`), or the id of a running sync of `identity`.
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
        """Returns the time in Unix seconds, by the clock of Redis."""
        return await self._pool.now()

    def _is_own(self, raw: bytes) -> bool:
        """Returns whether an inherited record is of a space of this account."""
        try:
            return self._owns(PersonaRecord.decode(raw).space_id)
        except NewerVersion:
            return False

    async def _move_from(self, former: str, records: dict[str, bytes]) -> None:
        """Moves records from another name of the account. A record under its present name is not replaced."""
        for reference, raw in records.items():
            await self._pool.hsetnx(keys.personas(self._account), reference, raw)  # type: ignore[misc, arg-type]
            await self._pool.hdel(keys.personas(former), reference)  # type: ignore[misc]


def _decode_all(found: dict[bytes, bytes]) -> Iterator[tuple[str, PersonaRecord]]:
    for reference, raw in found.items():
        try:
            yield reference.decode(), PersonaRecord.decode(raw)
        except NewerVersion as error:
            log.warning("a persona's record is left out: %s", error)
