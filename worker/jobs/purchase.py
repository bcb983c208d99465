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
from dataclasses import replace

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
        payload = build(summary, reference)
        record = await self._context.personas.find(str(reference))
        if record is None and (record := await self._at_mavera(reference, summary)):
            claim = await self._context.personas.claimed(str(reference))
            if claim and await self._bought(summary, reference, payload, record.persona_id, claim):
                return
        while True:
            if record is None:
                record = await self._create(summary, reference, payload)
                if record is None:
                    return
            if await self._update(summary, reference, payload, record):
                return
            # Someone deleted it by hand: it is created anew, unless another one turns up.
            self._gone.add(record.persona_id)
            self._lookup = None
            record = await self._at_mavera(reference, summary)

    async def _at_mavera(self, reference: Reference, summary: ClusterSummary) -> PersonaRecord | None:
        """The persona as Mavera lists it. Raises ResumableStop or Defer if it lists none and that proves nothing."""
        run, _ = await self._context.personas.redis_run()
        lookup = self._lookup
        if lookup is None or lookup.run != run or lookup.unsettled_s or not lookup.complete:
            lookup = self._lookup = await look_up(self._context, self._patience, reference.family)
        persona_id = lookup.found.get(str(reference))
        if persona_id is not None and persona_id not in self._gone:
            return self._record(persona_id, summary)
        if not lookup.complete:
            raise ResumableStop(
                "persona_in_doubt",
                f"Mavera's list of personas is not complete, so whether {summary.label} has one cannot be told; "
                "none was bought. Resume the sync to look again",
            )
        if lookup.unsettled_s:
            raise Defer(lookup.unsettled_s, "Redis started only just now; waiting before personas are bought")
        return None

    async def _restarted_since_lookup(self) -> bool:
        run, _ = await self._context.personas.redis_run()
        return self._lookup is None or self._lookup.run != run

    async def _update(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, record: PersonaRecord
    ) -> bool:
        """Brings a persona up to date and records it; False if Mavera no longer has it."""
        try:
            persona = await self._patience.call(lambda: self._context.mavera.update(record.persona_id, payload))
        except PersonaGone:
            await self._context.personas.forget(str(reference), record)
            return False
        await self._keep(summary, reference, record.persona_id, "updated", 0, payload, persona)
        return True

    async def _create(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload
    ) -> PersonaRecord | None:
        """Buys the persona and records it; or returns the record of one that has turned up meanwhile."""
        while True:
            await self._patience.slot()
            by, asked_at = new_token(), self._context.clock()
            answer = await self._context.personas.claim(self._lease.grant, str(reference), by)
            if answer.record is not None:
                return answer.record
            if answer.claim is not None:
                if await self._resolve(summary, reference, payload, answer.claim):
                    return None
                continue
            if await self._restarted_since_lookup():
                # Redis may have lost somebody's claim, and with it the right of ours: look at Mavera again first.
                await self._context.personas.release(str(reference), by)
                if (record := await self._at_mavera(reference, summary)) is not None:
                    return record
                continue
            if await self._post(summary, reference, payload, by, asked_at):
                return None

    async def _post(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, by: str, asked_at: float
    ) -> bool:
        """Sends the POST that claim `by` permits. True: bought and recorded; False: the purchase begins anew."""

        def permit() -> bool:
            # Later than this, somebody may have begun to doubt the claim.
            return self._context.clock() - asked_at <= CLAIM_DEADLINE_S

        sending = asyncio.create_task(self._send_and_keep(summary, reference, payload, permit))
        try:
            await asyncio.shield(sending)
        except PostUncertain as doubt:
            log.warning("%s; looking whether it was made", doubt)
            if await self._resolve(summary, reference, payload, Claim(by, self._begun.lease.sync_id, age_s=0.0)):
                return True
            await self._posting.failed(Retry("mavera_unavailable", str(doubt)))
            return False
        except NotPermitted:
            await self._context.personas.release(str(reference), by)
            return False
        except ApiError as refusal:
            await self._context.personas.release(str(reference), by)
            if not isinstance(refusal, Retry):
                raise
            await self._posting.failed(refusal)
            return False
        except asyncio.CancelledError:
            await self._wait_for_answer(sending)
            if sending.done() and isinstance(sending.exception(), ApiError | NotPermitted):
                await self._context.personas.release(str(reference), by)
            sending.cancel()
            raise
        return True

    async def _wait_for_answer(self, sending: asyncio.Task[None]) -> None:
        """Waits for a POST on its way: to its end if only the sync is over, `LAST_POST_S` if the worker stops."""
        if self._lease.lost:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({sending})
        await asyncio.wait({sending}, timeout=LAST_POST_S)

    async def _send_and_keep(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, permit: Callable[[], bool]
    ) -> None:
        persona = await self._context.mavera.create(payload, permit)
        charged = CREDITS_PER_PERSONA if persona.credits_charged is None else persona.credits_charged
        await self._keep(summary, reference, persona.id, "created", charged, payload, persona)

    async def _resolve(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, claim: Claim
    ) -> bool:
        """Waits until a claim without a record is no longer in doubt. True: there is a persona, and it is recorded."""
        seen_at = self._context.clock()
        found, _ = await self._found_after_all(summary, reference, payload, claim)
        if found:
            return True
        while (age_s := claim.age_s + self._context.clock() - seen_at) < self._context.settings.mavera_settle_s:
            await self._lease.say(f"{summary.label}: a persona may be on its way; waiting until that is certain")
            await self._context.sleep(min(DOUBT_POLL_S, self._context.settings.mavera_settle_s - age_s))
            if await self._context.personas.find(str(reference)):
                return False
        for _ in range(2):
            found, complete = await self._found_after_all(summary, reference, payload, claim)
            if found:
                return True
            if not complete:
                raise ResumableStop(
                    "persona_in_doubt",
                    f"A persona for {summary.label} may have been bought, and Mavera's list is not complete enough to "
                    "tell. None was bought again. Resume the sync to look again",
                )
        await self._context.personas.release(str(reference), claim.by)
        return False

    async def _found_after_all(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, claim: Claim
    ) -> tuple[bool, bool]:
        """Whether the persona in doubt is listed (it is recorded then), and whether the listing was complete."""
        lookup = await look_up(self._context, self._patience, reference.family)
        persona_id = lookup.found.get(str(reference))
        if persona_id is None or persona_id in self._gone:
            return False, lookup.complete
        known = await self._bought(summary, reference, payload, persona_id, claim) or await self._update(
            summary, reference, payload, self._record(persona_id, summary)
        )
        return known, lookup.complete

    async def _bought(
        self, summary: ClusterSummary, reference: Reference, payload: PersonaPayload, persona_id: str, claim: Claim
    ) -> bool:
        """Records a persona for the sync that claimed it and could not say so. True if that is ours: it is settled."""
        if claim.sync_id == self._begun.lease.sync_id:
            await self._keep(summary, reference, persona_id, "created", CREDITS_PER_PERSONA, payload, None)
            return True
        record = replace(self._record(persona_id, summary), sync_id=claim.sync_id)
        outcome = PersonaOutcome(summary.key, persona_id, "created", CREDITS_PER_PERSONA)
        await self._context.personas.record(str(reference), record, outcome)
        return False

    async def _keep(
        self,
        summary: ClusterSummary,
        reference: Reference,
        persona_id: str,
        action: str,
        credits_charged: int,
        payload: PersonaPayload,
        answer: Persona | None,
    ) -> None:
        ignored = ignored_fields(payload.as_json(), answer)
        outcome = PersonaOutcome(summary.key, persona_id, action, credits_charged, ignored)
        kept = self._kept[summary.key] = (str(reference), self._record(persona_id, summary), outcome)
        await self._context.personas.record(*kept)
        self._posting.succeeded()

    def _record(self, persona_id: str, summary: ClusterSummary) -> PersonaRecord:
        request, sync_id = self._begun.request, self._begun.lease.sync_id
        return PersonaRecord(persona_id, request.space_id, summary.key, sync_id, summary.n)
