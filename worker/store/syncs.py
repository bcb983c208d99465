"""Syncs in Redis: each method is one move, and one script.

Every method may be called again after a lost answer. A job that no longer owns its sync gets LeaseLost from whatever it
tries, and nothing is written.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, Self

import orjson
from pydantic import ValidationError

from worker.clusters.analysis.snapshot import Snapshot
from worker.errors import LeaseLost, StoreUnusable
from worker.models.plan import AccountBill, Plan
from worker.models.sync import BatchKey, JobKind, PersonaOutcome, Sync, SyncFailure, SyncRequest, SyncState
from worker.store import keys
from worker.store.connection.pool import StorePool
from worker.store.queue import JobPayload
from worker.store.scripts import run_script

Move = Literal["stay", "walk", "finalize"]

log = logging.getLogger("segment_personas.store")

_DUE_PARTS = 5
"""Of what is due: sync id, slot, state, epoch, and the text of the slot."""

HISTORY = 30
"""How many complete syncs of an identity are remembered."""

_LONGEST_MS = 100 * 365 * 86_400_000
"""Redis refuses a time to live that is not positive or does not fit; a script must not find that out half-way."""


def storable_ms(time_ms: int) -> int:
    """The nearest time to live, in milliseconds, that Redis takes and that does not delete at once."""
    return min(max(1, time_ms), _LONGEST_MS)


@dataclass(frozen=True)
class LeaseGrant:
    """A job's right to work on a sync: it holds while state, epoch and holder are unchanged in Redis."""

    sync_id: str
    state: SyncState
    epoch: int
    holder: str


@dataclass(frozen=True)
class Checkpoint:
    """Where a walk stands. Cursor and statistics belong together and are only ever written together.

    seq: number of commits so far. guard: state of the cursor guards, encoded. trouble_ms: for how long an API has
    failed by now, over all jobs since it last answered. aggregate: encoded statistics, empty at the start.
    """

    seq: int = 0
    cursor: str = ""
    guard: str = ""
    pages: int = 0
    profiles: int = 0
    complete: bool = False
    trouble_ms: int = 0
    aggregate: bytes = b""


@dataclass(frozen=True)
class Listing:
    """Where the listing of a fan-out sync stands; its pages are counted by batches.

    seq, cursor, guard, trouble_ms: as of `Checkpoint`. pages, profiles: listed so far. batches: issued so far, also
    before a restart. ended: nothing more is listed; complete: because there is nothing more. free_slots: of the
    look-ahead, as far as is known: others free them at any time, and only the walk fills them.
    """

    seq: int = 0
    cursor: str = ""
    guard: str = ""
    pages: int = 0
    profiles: int = 0
    batches: int = 0
    ended: bool = False
    complete: bool = False
    trouble_ms: int = 0
    free_slots: tuple[int, ...] = tuple(range(keys.SLOTS))

    @classmethod
    def from_fields(cls, fields: Mapping[str, str]) -> Self:
        """Reads the fields of a sync's Redis hash."""
        return cls(
            seq=int(fields["seq"]),
            cursor=fields["cursor"],
            guard=fields["guard"],
            pages=int(fields.get("pages_listed", 0)),
            profiles=int(fields.get("profiles_listed", 0)),
            batches=int(fields.get("batches", 0)),
            ended=fields.get("listed") == "1",
            complete=fields["complete"] == "1",
            trouble_ms=int(fields["trouble_ms"]),
            free_slots=tuple(slot for slot in range(keys.SLOTS) if not fields.get(f"slot:{slot}")),
        )


@dataclass(frozen=True)
class Begun:
    """What a job gets with its lease.

    started_at, fetched_at: when the sync's first job began and when its last page was read (None until then), Unix
    seconds by the clock of Redis. lookup: what an earlier job of the sync found at Mavera, encoded. plan: what one has
    planned so far, encoded. note: why an earlier job had to wait, if that has not ended.
    accepted: whether somebody has said that its numbers are right although a guard stopped it.
    """

    lease: LeaseGrant
    request: SyncRequest
    checkpoint: Checkpoint
    listing: Listing
    started_at: float
    lookup: str
    plan: str
    accepted: bool
    fetched_at: float | None
    note: str = ""


class SilentSync(NamedTuple):
    """A sync whose job has said nothing for too long. state: None if the sync is not known any more."""

    sync_id: str
    state: SyncState | None
    epoch: int


def owned(answer: list[Any]) -> list[Any]:
    """The answer of a script to a job. Raises LeaseLost if it is that the job is not, or no longer, the sync's."""
    if answer[0] == "stale":
        raise LeaseLost(f"the sync is now {answer[1].decode()}, epoch {answer[2].decode()}")
    return answer


def new_token() -> str:
    """A token that tells one attempt from every other."""
    return secrets.token_hex(8)


class SyncStore:
    """All syncs.

    Args:
        stall_ms: silence after which a job counts as lost.
        retention_ms: how long an ended sync is kept.
        account: the Mavera account of the caller (`account_name`). New syncs belong to it, and a job begins only
            syncs of it. Empty: new syncs belong to the account of the worker that takes their first job.
    """

    def __init__(self, pool: StorePool, *, stall_ms: int, retention_ms: int, account: str = "") -> None:
        self._pool = pool
        self._account = account
        self._queue, self._wake = keys.queue(account), keys.wake(account)
        self._stall_ms = stall_ms
        self._retention_ms = storable_ms(retention_ms)

    # The client's moves

    async def create(
        self,
        sync_id: str,
        request: SyncRequest,
        ticket: JobPayload,
        *,
        force: bool = False,
        idempotency_key: str | None = None,
    ) -> str:
        """Makes a sync and its first job. Returns its id, or that of the sync that this request means.

        The latter is the sync of the same idempotency key, or the running one of the same identity unless `force`.
        """
        asking = (self._account, "")
        answer = await self._run(
            "sync/create",
            [
                *(keys.sync(sync_id), self._queue, keys.DUE, self._wake, keys.SYNCS, keys.active(request.identity)),
                *(keys.request(idempotency_key, account) for account in asking if idempotency_key),
            ],
            sync_id,
            request.model_dump_json(),
            request.identity,
            ticket.job_id,
            ticket.job,
            self._stall_ms,
            force,
            self._retention_ms,
            self._account,
        )
        return answer[1].decode() if answer[0] in {"known", "active"} else sync_id

    async def get(self, sync_id: str) -> Sync | None:
        """The sync as it stands, with its statistics and outcomes; None if it is not known, or no longer."""
        async with self._pool.pipeline(transaction=True) as pipe:
            pipe.hgetall(keys.sync(sync_id))
            pipe.hvals(keys.outcomes(sync_id))
            fields, outcomes = await pipe.execute()
        if b"state" not in fields:  # nothing, or the key of another entity, such as `<id>:outcomes`
            return None
        return Sync.from_fields(_text(fields), tuple(map(_outcome, outcomes)))

    async def newest(self, limit: int = 100) -> list[Sync]:
        """The newest syncs, newest first, without their outcomes."""
        ids = [raw.decode() for raw in await self._pool.zrevrange(keys.SYNCS, 0, limit - 1)]
        async with self._pool.pipeline(transaction=False) as pipe:
            for sync_id in ids:
                pipe.hgetall(keys.sync(sync_id))
            found = await pipe.execute() if ids else []
        return [Sync.from_fields(_text(fields)) for fields in found if fields]

    async def history(self, identity: str) -> list[Snapshot]:
        """What the space of an identity was like, as the last complete syncs have read it, newest first."""
        snapshots = []
        with contextlib.suppress(StoreUnusable):  # something else stands there: nothing is remembered
            for entry in await self._pool.list_entries(keys.history(identity)):
                with contextlib.suppress(ValidationError):
                    snapshots.append(Snapshot.model_validate_json(entry))
        return snapshots

    async def cancel(self, sync_id: str) -> SyncState | None:
        """Cancels a running sync. Returns the state it is in now; None if it is not known."""
        answer = await self._run(
            "sync/cancel", [keys.sync(sync_id), self._queue, keys.DUE], sync_id, self._retention_ms
        )
        if answer[0] == "gone":
            return None
        return SyncState(answer[1].decode()) if answer[0] == "ended" else SyncState.CANCELLED

    async def resume(
        self,
        sync: Sync,
        ticket: JobPayload,
        batches: Sequence[JobPayload] = (),
        *,
        restart: bool = False,
        request: SyncRequest | None = None,
        accept: bool = False,
    ) -> str:
        """Takes a failed sync back to where it failed; with `restart`, to the first page with fresh sums.

        batches: the next try at each of `sync.outstanding`; none with `restart`. request: what is asked for from now
        on, if that changes. accept: no guard is to stop it. Returns `ok`, `changed` (someone else moved it), `gone`, or
        the id of another sync of the same space that runs.
        """
        answer = await self._run(
            "sync/resume",
            [
                *(keys.sync(sync.id), keys.queue(sync.owner), keys.DUE, keys.wake(sync.owner)),
                *(keys.outcomes(sync.id), keys.active(sync.request.identity)),
            ],
            sync.id,
            sync.epoch,
            restart,
            self._stall_ms,
            ticket.job_id,
            ticket.job,
            (request or sync.request).model_dump_json(),
            "1" if accept else "",
            sync.owner,
            *(part for batch in batches for part in (batch.job_id, batch.job)),
        )
        return answer[1].decode() if answer[0] == "busy" else str(answer[0])

    async def apply(self, sync: Sync, ticket: JobPayload, request: SyncRequest, *, accept: bool = False) -> str:
        """Takes a completed preview on to its personas, as `request` says. Options and answer are those of `resume`."""
        answer = await self._run(
            "sync/apply",
            [
                *(keys.sync(sync.id), keys.queue(sync.owner), keys.DUE, keys.wake(sync.owner)),
                *(keys.outcomes(sync.id), keys.active(request.identity)),
            ],
            *(sync.id, sync.epoch, request.model_dump_json(), "1" if accept else ""),
            *(self._stall_ms, ticket.job_id, ticket.job, sync.owner),
        )
        return answer[1].decode() if answer[0] == "busy" else str(answer[0])

    # A job's moves

    async def begin(self, sync_id: str, epoch: int, kind: JobKind, holder: str) -> Begun:
        """Takes the lease of an epoch. Raises LeaseLost if the epoch is over, begun by another, or of another kind."""
        answer = await self._run(
            "sync/begin",
            [keys.sync(sync_id), keys.DUE],
            sync_id,
            epoch,
            holder,
            self._stall_ms,
            kind,
            self._account,
        )
        owned(answer)
        parts = [part.decode() for part in answer[1:]]
        fields = dict(zip(parts[::2], parts[1::2], strict=True))
        return Begun(
            lease=LeaseGrant(sync_id, SyncState(fields["state"]), epoch, holder),
            request=SyncRequest.from_stored(fields["request"]),
            checkpoint=Checkpoint(
                seq=int(fields["seq"]),
                cursor=fields["cursor"],
                guard=fields["guard"],
                pages=int(fields["pages"]),
                profiles=int(fields["profiles"]),
                complete=fields["complete"] == "1",
                trouble_ms=int(fields["trouble_ms"]),
                aggregate=fields["aggregate"].encode(),
            ),
            listing=Listing.from_fields(fields),
            started_at=int(fields["started_at"]) / 1000,
            lookup=fields["lookup"],
            plan=fields.get("plan", ""),
            accepted=fields.get("accepted") == "1",
            fetched_at=int(fields["fetched_at"]) / 1000 if fields["fetched_at"] else None,
            note=fields.get("note", ""),
        )

    async def commit(
        self,
        lease: LeaseGrant,
        checkpoint: Checkpoint,
        token: str,
        *,
        move: Move = "stay",
        ticket: JobPayload | None = None,
        delay_s: float = 0.0,
        note: str = "",
    ) -> Checkpoint:
        """Writes a checkpoint that follows the one of `checkpoint.seq`; returns it with its new seq.

        move: `walk` and `finalize` hand the sync to the next job (`ticket`), after `delay_s` seconds.
        """
        if (move == "stay") is not (ticket is None):
            raise ValueError("a hand-over needs the ticket of the next job, and nothing else does")
        answer = await self._run(
            "sync/commit",
            [
                *(keys.sync(lease.sync_id), self._queue, keys.DUE, self._wake),
                keys.outcomes(lease.sync_id),
            ],
            *(lease.sync_id, lease.epoch, lease.holder, checkpoint.seq, token, move),
            *(
                checkpoint.cursor,
                checkpoint.guard,
                checkpoint.pages,
                checkpoint.profiles,
                checkpoint.complete,
            ),
            *(checkpoint.trouble_ms, note, checkpoint.aggregate, self._stall_ms, int(delay_s * 1000)),
            *((ticket.job_id, ticket.job) if ticket else ("", b"")),
        )
        owned(answer)
        return replace(checkpoint, seq=checkpoint.seq + 1)

    async def heartbeat(self, lease: LeaseGrant, *, note: str = "", for_s: float = 0.0) -> None:
        """Says that the job lives and, if `for_s`, will be silent for so many seconds more than usual."""
        owned(
            await self._run(
                "sync/heartbeat",
                [keys.sync(lease.sync_id), keys.DUE],
                *(lease.sync_id, lease.state.value, lease.epoch, lease.holder),
                self._stall_ms + int(for_s * 1000),
                note,
            )
        )

    async def hand_over(
        self,
        lease: LeaseGrant,
        ticket: JobPayload,
        token: str,
        *,
        delay_s: float = 0.0,
        trouble_ms: int = 0,
        note: str = "",
    ) -> None:
        """Gives the sync to the next job of the same state."""
        owned(
            await self._run(
                "sync/hand_over",
                [keys.sync(lease.sync_id), self._queue, keys.DUE, self._wake],
                *(lease.sync_id, lease.state.value, lease.epoch, lease.holder, token, trouble_ms, note),
                *(self._stall_ms, int(delay_s * 1000), ticket.job_id, ticket.job),
            )
        )

    async def remember_lookup(self, lease: LeaseGrant, lookup: str) -> None:
        """Keeps what a look-up at Mavera found, for the finalizer."""
        await self._remember(lease, "lookup", lookup)

    async def remember_plan(self, lease: LeaseGrant, plan: Plan) -> None:
        """Keeps the beginning of a plan, for the next finalizer."""
        await self._remember(lease, "plan", plan.encode())

    async def remember_account(self, lease: LeaseGrant, bill: AccountBill) -> None:
        """Keeps what the account counted so far."""
        await self._remember(lease, "account", bill.model_dump_json())

    async def complete(
        self,
        lease: LeaseGrant,
        token: str,
        plan: Plan | None = None,
        *,
        baseline: Snapshot | None = None,
        snapshot: Snapshot | None = None,
        identity: str = "",
    ) -> None:
        """Ends the sync: every cluster is settled, or planned.

        baseline: what the space was like before. snapshot: what it is like, to be kept in the history of `identity`.
        """
        owned(
            await self._run(
                "sync/complete",
                [keys.sync(lease.sync_id), self._queue, keys.DUE, keys.history(identity)],
                *(lease.sync_id, lease.epoch, lease.holder, token, self._retention_ms),
                *(one.encode() if one else "" for one in (plan, baseline, snapshot)),
                HISTORY,
            )
        )

    async def outcomes(self, sync_id: str) -> tuple[PersonaOutcome, ...]:
        """What has become of the sync's clusters so far."""
        return tuple(map(_outcome, await self._pool.hash_values(keys.outcomes(sync_id))))

    async def fail(self, lease: LeaseGrant, failure: SyncFailure, token: str) -> None:
        """Ends the sync with a reason; what was counted and made stays."""
        owned(
            await self._run(
                "sync/fail",
                [keys.sync(lease.sync_id), self._queue, keys.DUE],
                *(lease.sync_id, lease.state.value, lease.epoch, lease.holder, token),
                *(failure.code, failure.message, failure.resumable, self._retention_ms),
            )
        )

    # The watcher's moves

    async def lock_watch(self, for_s: float, furthest_s: float = 3600.0) -> bool:
        """Whether the caller may look at the due syncs now; nobody else may for `for_s` seconds.

        Whoever may also mends times that a clock which was set back has left in the future. furthest_s: nothing is put
        off for longer.
        """
        accounts = (self._account, "")
        queued = [name for account in accounts for name in (keys.queue(account), keys.later(account))]
        times = dict.fromkeys((keys.DUE, *queued))
        answer = await self._run(
            "watchdog/lock_watch", [keys.WATCH, keys.CLOCK, *times], max(1, int(for_s * 1000)), int(furthest_s * 1000)
        )
        if answer[2] > 0:
            back_s = answer[2] / 1000
            log.warning("the clock of Redis was set back by %.1f s; what was put off is due that much earlier", back_s)
        return bool(answer[1])

    async def due(self, page: int = 200) -> list[SilentSync | BatchKey]:
        """All that is silent: syncs, and batches of pages. What can be neither is dropped.

        What only waits in the queue is not among it: the script that looks gives it its next look. page: how much one
        script looks at, so that it does not hold up Redis for long.
        """
        found: list[SilentSync | BatchKey] = []
        rows = 0
        while True:
            answer = await self._run("watchdog/due", [keys.DUE], self._stall_ms, rows, page)
            parts = answer[2:]
            for i in range(0, len(parts), _DUE_PARTS):
                rows += 1
                try:
                    found.append(_silent(*(part.decode() for part in parts[i : i + _DUE_PARTS])))
                except ValueError:
                    # One bad entry must not keep every other sync from being watched.
                    member = b" ".join(part for part in parts[i : i + 2] if part)
                    rows -= await self._pool.zrem(keys.DUE, member)
            if answer[1] < page:
                return found

    async def revive(
        self, sync_id: str, state: SyncState, epoch: int, ticket: JobPayload, *, max_revivals: int, message: str
    ) -> str:
        """Gives a silent sync its next job, or fails it with `message` after `max_revivals` without progress.

        Returns what was done: `revived`, `failed`, `waiting` (its job stands in the queue), `early`, `changed` or
        `gone`.
        """
        answer = await self._run(
            "sync/revive",
            [keys.sync(sync_id), self._queue, keys.DUE, self._wake],
            *(sync_id, state.value, epoch, self._stall_ms, max_revivals, ticket.job_id, ticket.job),
            *(message, self._retention_ms),
        )
        return str(answer[0])

    async def look_later(self, silent: SilentSync | BatchKey) -> None:
        """Puts off the next look at what is silent by the time that silence takes."""
        member = f"{silent.sync_id} {silent.slot}" if isinstance(silent, BatchKey) else silent.sync_id
        seconds, _ = await self._pool.time()
        await self._pool.zadd(keys.DUE, {member: seconds * 1000 + self._stall_ms}, xx=True)

    async def forget_due(self, sync_id: str) -> None:
        """Takes a sync that no longer exists out of the watched ones."""
        await self._pool.zrem(keys.DUE, sync_id)

    async def _remember(self, lease: LeaseGrant, field: Literal["lookup", "plan", "account"], text: str) -> None:
        owned(
            await self._run(
                "sync/remember",
                [keys.sync(lease.sync_id)],
                *(lease.state.value, lease.epoch, lease.holder, field, text),
            )
        )

    async def _run(self, name: str, script_keys: list[str], *arguments: Any) -> list[Any]:
        return await run_script(self._pool, name, script_keys, *arguments)


def _text(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _silent(sync_id: str, slot: str, state: str, epoch: str, batch: str) -> SilentSync | BatchKey:
    """What the watcher has found. Raises ValueError if it is nothing."""
    if slot:
        return BatchKey.read(sync_id, int(slot), batch)
    return SilentSync(sync_id, SyncState(state) if state else None, int(epoch or 0))


def _outcome(raw: bytes) -> PersonaOutcome:
    fields = orjson.loads(raw)
    return PersonaOutcome(**{**fields, "ignored": tuple(fields["ignored"]), "twins": tuple(fields.get("twins", ()))})
