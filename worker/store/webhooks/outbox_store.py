"""The outbox: events that wait for their delivery. The scripts that change a state record them (`lua/lib/outbox.lua`).

An account has one outbox; events of syncs that no worker has taken yet are in another, which the workers of every
account deliver. Times are Unix seconds by the clock of Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.models.sync import Sync
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.scripts import webhook as scripts
from worker.store.syncs.sync_reader import read_sync

WANTED_S = 7 * 86_400
"""Seconds for which events are recorded after the last worker that delivers them was seen."""


@dataclass(frozen=True)
class PendingEvent:
    """An event that this worker may deliver.

    Attributes:
        id: Names the event, the same in every attempt.
        account: Of its outbox; empty for that of syncs without an account.
        kind: `sync`, or its type.
        document: Its JSON; empty for a sync.
        at: When it happened.
        attempt: The number of this attempt, from 1.
        first_at: When the first attempt was made.
    """

    id: str
    account: str
    kind: str
    document: bytes
    at: float
    attempt: int
    first_at: float


@dataclass(frozen=True)
class OutboxStatus:
    """The state of the delivery of events.

    Attributes:
        wanted: Whether a worker with `WEBHOOK_URL` was seen in the last week.
        waiting: Events that are not delivered yet.
        lost: Events that were given up.
        error: Why the last failed attempt failed; empty if none did.
        error_at: When that was; None if none failed.
        delivered_at: When an event was last delivered; None: never.
    """

    wanted: bool
    waiting: int
    lost: int
    error: str
    error_at: float | None
    delivered_at: float | None


class OutboxStore:
    """The outbox of an account, and that of syncs without one.

    Args:
        account: As `account_name` returns it; empty: only the outbox of syncs without an account.
        accounts: Returns the accounts whose outboxes are delivered, if these are several.
    """

    def __init__(
        self, pool: StorePool, account: str = "", *, accounts: Callable[[], Sequence[str]] | None = None
    ) -> None:
        self._pool = pool
        self._account = account
        self._delivered = accounts or (lambda: (account,))

    @property
    def _accounts(self) -> Sequence[str]:
        return [*dict.fromkeys((*self._delivered(), ""))]

    async def announce(self) -> None:
        """Says that this worker delivers events, so that they are recorded."""
        async with self._pool.pipeline(transaction=True) as pipe:
            for account in self._accounts:
                pipe.hset(keys.webhooks(account), "wanted", "1")
                pipe.expire(keys.webhooks(account), WANTED_S)
            await pipe.execute()

    async def take(self, count: int, hold_s: float) -> list[PendingEvent]:
        """Takes events that are due; no other caller gets them for `hold_s` seconds."""
        taken: list[PendingEvent] = []
        for account in self._accounts:
            found = await scripts.take_events(
                self._pool,
                outbox=keys.outbox(account),
                webhooks=keys.webhooks(account),
                clock=keys.CLOCK,
                count=count,
                hold_ms=int(hold_s * 1000),
            )
            taken += [
                PendingEvent(
                    one.id, account, one.kind, one.document, one.at_ms / 1000, one.attempt, one.first_ms / 1000
                )
                for one in found.events
            ]
        return taken

    async def sync_of(self, event: PendingEvent) -> Sync | None:
        """Returns the sync of an event as it was then; None if the event has expired. Raises SyncUnreadable."""
        async with self._pool.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"{keys.event(event.id)}:sync")
            pipe.hvals(f"{keys.event(event.id)}:outcomes")
            fields, outcomes = await pipe.execute()
        return read_sync(event.id, fields, outcomes) if fields else None

    async def delivered(self, event: PendingEvent) -> None:
        """Removes an event that was delivered."""
        await self._settle(event)

    async def remove(self, event: PendingEvent) -> None:
        """Removes an event that is not sent."""
        await self._settle(event, lost=True)

    async def failed(self, event: PendingEvent, reason: str, delay_s: float) -> None:
        """Makes an event due again after `delay_s` seconds."""
        await self._settle(event, reason, delay_ms=int(delay_s * 1000))

    async def discard(self, event: PendingEvent, reason: str) -> None:
        """Gives up an event."""
        await self._settle(event, reason, lost=True)

    async def note_credits(self, *, low: bool, document: str) -> None:
        """Records `credits.low` with this document if the credits of the account have become low."""
        await scripts.note_credits(
            self._pool, alerts=keys.alerts(self._account), account=self._account, low=low, document=document
        )

    async def status(self) -> OutboxStatus:
        """Returns what is known of the delivery of both outboxes."""
        fields: dict[bytes, bytes] = {}
        waiting = lost = 0
        wanted = False
        for account in self._accounts:
            found = await self._pool.hash_fields(keys.webhooks(account))
            wanted |= bool(found)
            lost += int(found.get(b"lost", b"0"))
            waiting += len(await self._pool.zrevrange(keys.outbox(account), 0, -1))
            for name in (b"error_at", b"delivered_at"):
                if int(found.get(name, b"0")) > int(fields.get(name, b"0")):
                    fields |= {name: found[name]} | ({b"error": found[b"error"]} if name == b"error_at" else {})
        error = fields.get(b"error", b"").decode(errors="replace")
        return OutboxStatus(
            wanted, waiting, lost, error, _moment(fields, b"error_at"), _moment(fields, b"delivered_at")
        )

    async def now(self) -> float:
        """Returns the time by the clock of Redis."""
        return await self._pool.now()

    async def _settle(self, event: PendingEvent, reason: str = "", *, lost: bool = False, delay_ms: int = 0) -> None:
        await scripts.settle_event(
            self._pool,
            outbox=keys.outbox(event.account),
            webhooks=keys.webhooks(event.account),
            id=event.id,
            reason=reason[:500],
            lost=lost,
            delay_ms=delay_ms,
        )


def _moment(fields: dict[bytes, bytes], name: bytes) -> float | None:
    return int(fields[name]) / 1000 if name in fields else None
