"""Buying a persona exactly once, from an API that promises no idempotency.

    known (record) or found (reference at Mavera)?  ── yes → PATCH → record
      │ no, and absence is believable
    throttle slot → claim ── recorded by another → PATCH → record
      │ won          └───── held by another → in doubt
    POST, sent within the claim's deadline
      ├ made → record            (ends the claim)
      ├ definitely refused → release the claim; retry or stop
      └ no definite answer → in doubt

In doubt: presence at Mavera is believed at once. Absence is believed `MAVERA_SETTLE_S` after the claim, from two
complete listings; then the claim is released and the purchase begins anew, for as long as the retry budget lasts. What
stays open is a process that is frozen between its check of the deadline and its send for longer than
`MAVERA_SETTLE_S`, and a persona that Mavera lists later than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from worker.clusters import ClusterSummary
from worker.errors import ApiError, ResumableStop, Retry
from worker.http import NotPermitted
from worker.jobs.attempts import Defer, Patience
from worker.jobs.context import WorkerContext
from worker.jobs.lease import Lease
from worker.jobs.lookup import Lookup, cluster_reference, look_up
from worker.mavera import (
    CREDITS_PER_PERSONA,
    Persona,
    PersonaGone,
    PersonaPayload,
    PostUncertain,
    Reference,
    build,
)
from worker.mavera.echo import ignored_fields
from worker.settings import CLAIM_DEADLINE_S
from worker.store import Claim, PersonaRecord
from worker.store.syncs import Begun, new_token
from worker.sync import PersonaOutcome

log = logging.getLogger("segment_personas.jobs")

DOUBT_POLL_S = 0.5
LAST_POST_S = 5.0
"""How long a worker that is told to stop waits for the answer to a POST on its way."""


@dataclass(frozen=True)
class _Order:
    """What is to be had: a cluster's persona, and the reference by which it is known."""

    summary: ClusterSummary
    reference: Reference
    payload: PersonaPayload

    @property
    def text(self) -> str:
        """The reference as it stands in the description, and in our records."""
        return str(self.reference)


class Purchase:
    """The personas of one sync, one cluster at a time."""

    def __init__(self, context: WorkerContext, begun: Begun, lease: Lease, patience: Patience) -> None:
        self._context = context
        self._begun = begun
        self._lease = lease
        self._patience = patience
        # Of its own: that Mavera lists personas well says nothing of whether it makes any.
        self._posting = Patience(context, context.mavera_limiter, "Mavera", begun.checkpoint.trouble_ms, lease=lease)
        self._lookup = Lookup.decode(begun.lookup)
        self._gone: set[str] = set()
        self._kept: dict[str, tuple[str, PersonaRecord, PersonaOutcome]] = {}

    @property
    def trouble_ms(self) -> int:
        """For how long Mavera has failed by now to make a persona."""
        return self._posting.trouble_ms

    async def confirm(self) -> None:
        """Records again what this job recorded and Redis has lost since, by a restart without its last moments."""
        known = {outcome.cluster for outcome in await self._context.syncs.outcomes(self._begun.lease.sync_id)}
        for cluster, kept in self._kept.items():
            if cluster not in known:
                await self._context.personas.record(*kept)

    async def settle(self, summary: ClusterSummary) -> None:
        """Sees to it that the cluster has one persona, up to date and recorded. Raises ApiError, Defer or LeaseLost."""
        reference = cluster_reference(self._begun.request, self._begun.lease.sync_id, summary.key)
        order = _Order(summary, reference, build(summary, reference))
        record = await self._context.personas.find(order.text)
        if record is None and (record := await self._at_mavera(order)):
            claim = await self._context.personas.claimed(order.text)
            if claim and await self._bought(order, record.persona_id, claim):
                return
        while True:
            if record is None:
                record = await self._create(order)
                if record is None:
                    return
            if await self._update(order, record):
                return
            # Someone deleted it by hand: it is created anew, unless another one turns up.
            self._gone.add(record.persona_id)
            self._lookup = None
            record = await self._at_mavera(order)

    async def _at_mavera(self, order: _Order) -> PersonaRecord | None:
        """The persona as Mavera lists it. Raises ResumableStop or Defer if it lists none and that proves nothing."""
        run, _ = await self._context.personas.redis_run()
        lookup = self._lookup
        if lookup is None or lookup.run != run or lookup.unsettled_s or not lookup.complete:
            lookup = self._lookup = await look_up(self._context, self._patience, order.reference.family)
        persona_id = lookup.found.get(order.text)
        if persona_id is not None and persona_id not in self._gone:
            return self._record(order, persona_id)
        if not lookup.complete:
            raise ResumableStop(
                "persona_in_doubt",
                f"Mavera's list of personas is not complete, so whether {order.summary.label} has one cannot be told; "
                "none was bought. Resume the sync to look again",
            )
        if lookup.unsettled_s:
            raise Defer(lookup.unsettled_s, "Redis started only just now; waiting before personas are bought")
        return None

    async def _restarted_since_lookup(self) -> bool:
        run, _ = await self._context.personas.redis_run()
        return self._lookup is None or self._lookup.run != run

    async def _update(self, order: _Order, record: PersonaRecord) -> bool:
        """Brings a persona up to date and records it; False if Mavera no longer has it."""
        try:
            persona = await self._patience.call(lambda: self._context.mavera.update(record.persona_id, order.payload))
        except PersonaGone:
            await self._context.personas.forget(order.text, record)
            return False
        await self._keep(order, record.persona_id, "updated", 0, persona)
        return True

    async def _create(self, order: _Order) -> PersonaRecord | None:
        """Buys the persona and records it; or returns the record of one that has turned up meanwhile."""
        while True:
            await self._patience.slot()
            by, asked_at = new_token(), self._context.clock()
            answer = await self._context.personas.claim(self._lease.grant, order.text, by)
            if answer.record is not None:
                return answer.record
            if answer.claim is not None:
                if await self._resolve(order, answer.claim):
                    return None
                continue
            if await self._restarted_since_lookup():
                # Redis may have lost somebody's claim, and with it the right of ours: look at Mavera again first.
                await self._context.personas.release(order.text, by)
                if (record := await self._at_mavera(order)) is not None:
                    return record
                continue
            if await self._post(order, by, asked_at):
                return None

    async def _post(self, order: _Order, by: str, asked_at: float) -> bool:
        """Sends the POST that claim `by` permits. True: bought and recorded; False: the purchase begins anew."""

        def permit() -> bool:
            # Later than this, somebody may have begun to doubt the claim.
            return self._context.clock() - asked_at <= CLAIM_DEADLINE_S

        sending = asyncio.create_task(self._send_and_keep(order, permit))
        try:
            await asyncio.shield(sending)
        except PostUncertain as doubt:
            log.warning("%s; looking whether it was made", doubt)
            if await self._resolve(order, Claim(by, self._begun.lease.sync_id, age_s=0.0)):
                return True
            await self._posting.failed(Retry("mavera_unavailable", str(doubt)))
            return False
        except NotPermitted:
            await self._context.personas.release(order.text, by)
            return False
        except ApiError as refusal:
            await self._context.personas.release(order.text, by)
            if not isinstance(refusal, Retry):
                raise
            await self._posting.failed(refusal)
            return False
        except asyncio.CancelledError:
            await self._wait_for_answer(sending)
            if sending.done() and isinstance(sending.exception(), ApiError | NotPermitted):
                await self._context.personas.release(order.text, by)
            sending.cancel()
            raise
        return True

    async def _wait_for_answer(self, sending: asyncio.Task[None]) -> None:
        """Waits for a POST on its way: to its end if only the sync is over, `LAST_POST_S` if the worker stops."""
        if self._lease.lost:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({sending})
        await asyncio.wait({sending}, timeout=LAST_POST_S)

    async def _send_and_keep(self, order: _Order, permit: Callable[[], bool]) -> None:
        persona = await self._context.mavera.create(order.payload, permit)
        charged = CREDITS_PER_PERSONA if persona.credits_charged is None else persona.credits_charged
        await self._keep(order, persona.id, "created", charged, persona)

    async def _resolve(self, order: _Order, claim: Claim) -> bool:
        """Waits until a claim without a record is no longer in doubt. True: there is a persona, and it is recorded."""
        seen_at = self._context.clock()
        found, _ = await self._found_after_all(order, claim)
        if found:
            return True
        while (age_s := claim.age_s + self._context.clock() - seen_at) < self._context.settings.mavera_settle_s:
            await self._lease.say(f"{order.summary.label}: a persona may be on its way; waiting until that is certain")
            await self._context.sleep(min(DOUBT_POLL_S, self._context.settings.mavera_settle_s - age_s))
            if await self._context.personas.find(order.text):
                return False
        for _ in range(2):
            found, complete = await self._found_after_all(order, claim)
            if found:
                return True
            if not complete:
                raise ResumableStop(
                    "persona_in_doubt",
                    f"A persona for {order.summary.label} may have been bought, and Mavera's list is not complete, so "
                    "nobody can tell. None was bought again. Resume the sync to look again",
                )
        await self._context.personas.release(order.text, claim.by)
        return False

    async def _found_after_all(self, order: _Order, claim: Claim) -> tuple[bool, bool]:
        """Whether the persona in doubt is listed (it is recorded then), and whether the listing was complete."""
        lookup = await look_up(self._context, self._patience, order.reference.family)
        persona_id = lookup.found.get(order.text)
        if persona_id is None or persona_id in self._gone:
            return False, lookup.complete
        known = await self._bought(order, persona_id, claim) or await self._update(
            order, self._record(order, persona_id)
        )
        return known, lookup.complete

    async def _bought(self, order: _Order, persona_id: str, claim: Claim) -> bool:
        """Records a persona for the sync that claimed it and could not say so. True if that is ours: it is settled."""
        if claim.sync_id == self._begun.lease.sync_id:
            await self._keep(order, persona_id, "created", CREDITS_PER_PERSONA, None)
            return True
        record = replace(self._record(order, persona_id), sync_id=claim.sync_id)
        outcome = PersonaOutcome(order.summary.key, persona_id, "created", CREDITS_PER_PERSONA)
        await self._context.personas.record(order.text, record, outcome)
        return False

    async def _keep(
        self, order: _Order, persona_id: str, action: str, credits_charged: int, answer: Persona | None
    ) -> None:
        ignored = ignored_fields(order.payload.as_json(), answer)
        outcome = PersonaOutcome(order.summary.key, persona_id, action, credits_charged, ignored)
        kept = self._kept[order.summary.key] = (order.text, self._record(order, persona_id), outcome)
        await self._context.personas.record(*kept)
        self._posting.succeeded()

    def _record(self, order: _Order, persona_id: str) -> PersonaRecord:
        request, sync_id = self._begun.request, self._begun.lease.sync_id
        return PersonaRecord(persona_id, request.space_id, order.summary.key, sync_id, order.summary.n)
