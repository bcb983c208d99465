"""Buying a persona exactly once, from an API that promises no idempotency; and sending it only what is news.

    known (record) or found (reference at Mavera)?  ── yes → decide ┬ update → PATCH → record
      │ no, and absence is believable                               └ leave, skip → note the outcome
    throttle slot → claim ── recorded by another → decide, as above
      │ won          └───── held by another → in doubt
    POST, sent within the claim's deadline
      ├ made → record            (ends the claim)
      ├ definitely refused → release the claim; retry or stop
      └ no definite answer → in doubt

What to do with a persona that is known is `decision`. One that is to be left must be listed at Mavera: one that is not
may have been deleted by hand, so it gets a PATCH, which is free and tells.

In doubt: presence at Mavera is believed at once. Absence is believed `MAVERA_SETTLE_S` after the claim, from two
complete listings; then the claim is released and the purchase begins anew, for as long as the retry budget lasts. What
stays open is a process that is frozen between its check of the deadline and its send for longer than
`MAVERA_SETTLE_S`, and a persona that Mavera lists later than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from worker.clusters import ClusterSummary
from worker.errors import ApiError, ResumableStop, Retry
from worker.http import NotPermitted
from worker.jobs.account import Account
from worker.jobs.attempts import Defer, Patience
from worker.jobs.audit import log_outcome, log_refusal
from worker.jobs.budget import Budget
from worker.jobs.context import WorkerContext
from worker.jobs.decision import Decision, decide
from worker.jobs.lease import Lease
from worker.jobs.lookup import Lookup, cluster_reference, found_record, look_up
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
from worker.store import Claim, LeaseGrant, PersonaRecord, Sent
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

    def __init__(
        self,
        context: WorkerContext,
        begun: Begun,
        lease: Lease[LeaseGrant],
        patience: Patience,
        budget: Budget,
        account: Account,
    ) -> None:
        self._budget = budget
        self._account = account
        self._context = context
        self._begun = begun
        self._lease = lease
        self._patience = patience
        # Of its own: that Mavera lists personas well says nothing of whether it makes any.
        self._posting = Patience(context, context.mavera_limiter, "Mavera", begun.checkpoint.trouble_ms, lease=lease)
        self._lookup = Lookup.decode(begun.lookup)
        self._gone: set[str] = set()
        self._kept: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def trouble_ms(self) -> int:
        """For how long Mavera has failed by now to make a persona."""
        return self._posting.trouble_ms

    def made_progress(self) -> None:
        """A cluster is settled: what an earlier job had to wait for is over."""
        self._patience.made_progress()
        self._posting.made_progress()

    async def confirm(self) -> None:
        """Records again what this job recorded and Redis has lost since, by a restart without its last moments."""
        known = {outcome.cluster for outcome in await self._context.syncs.outcomes(self._begun.lease.sync_id)}
        for cluster, keep in self._kept.items():
            if cluster not in known:
                await keep()

    async def settle(self, summary: ClusterSummary) -> None:
        """Sees to it that a large enough cluster has one persona, up to date and recorded.

        Of any other cluster it notes why the persona that it has stays as it is. Raises ApiError, Defer or LeaseLost.
        """
        reference = cluster_reference(self._begun.request, self._begun.lease.sync_id, summary.key)
        order = _Order(summary, reference, build(summary, reference, self._begun.request.rules))
        known = record = await self._context.personas.find(order.text)
        if record is None and self._decide(order, None).action == "skip":
            record = self._remembered(order)
            if record is None:
                return
        elif record is None and (record := await self._at_mavera(order)):
            claim = await self._context.personas.claimed(order.text)
            if claim and await self._bought(order, record.persona_id, claim):
                return
        while True:
            if record is None:
                if self._decide(order, None).action == "skip":
                    return  # the persona was deleted by hand, and a part of a space creates none
                known = record = await self._create(order)
            if record is None or await self._bring_up_to_date(order, known, record):
                return
            # Someone deleted it by hand: it is created anew, unless another one turns up.
            self._gone.add(record.persona_id)
            self._lookup = None
            known, record = None, await self._at_mavera(order)

    async def _bring_up_to_date(self, order: _Order, known: PersonaRecord | None, record: PersonaRecord) -> bool:
        """Updates a persona or leaves it, and notes which; False if Mavera no longer has it.

        known: its record in Redis, None if it was only found at Mavera.
        """
        decision = self._decide(order, record)
        if decision.action == "leave" and not await self._is_listed(order, record):
            decision = Decision("update", "Mavera does not list it")
        if decision.action == "update":
            return await self._update(order, record, decision.reason)
        await self._leave(order, known, record, decision)
        return True

    def _decide(self, order: _Order, record: PersonaRecord | None) -> Decision:
        return decide(
            self._begun.request,
            self._context.settings,
            order.summary,
            order.payload,
            record,
            complete=self._begun.checkpoint.complete,
        )

    def _remembered(self, order: _Order) -> PersonaRecord | None:
        """The persona as an earlier look-up found it, for a cluster that needs none: not worth another look."""
        persona_id = self._lookup.found.get(order.text) if self._lookup else None
        return None if persona_id is None else self._found(order, persona_id)

    async def _is_listed(self, order: _Order, record: PersonaRecord) -> bool:
        """Whether Mavera's list has the persona; that it has not may be for other reasons than that it is gone."""
        if self._lookup is None:
            self._lookup = await look_up(self._context, self._patience, order.reference.family)
        return record.persona_id in self._lookup.listed

    async def _at_mavera(self, order: _Order) -> PersonaRecord | None:
        """The persona as Mavera lists it. Raises ResumableStop or Defer if it lists none and that proves nothing."""
        run, _ = await self._context.personas.redis_run()
        lookup = self._lookup
        if lookup is None or lookup.run != run or lookup.unsettled_s or not lookup.complete:
            lookup = self._lookup = await look_up(self._context, self._patience, order.reference.family)
        persona_id = lookup.found.get(order.text)
        if persona_id is not None and persona_id not in self._gone:
            return self._found(order, persona_id)
        if not lookup.complete:
            raise ResumableStop(
                "persona_in_doubt",
                f"Mavera's list of personas is not complete ({lookup.why}), so whether {order.summary.label} has one "
                "is unknown; none was bought. The list is read again when the sync goes on",
            )
        if lookup.unsettled_s:
            raise Defer(lookup.unsettled_s, "Redis started only just now; waiting before personas are bought")
        return None

    async def _restarted_since_lookup(self) -> bool:
        run, _ = await self._context.personas.redis_run()
        return self._lookup is None or self._lookup.run != run

    async def _update(self, order: _Order, record: PersonaRecord, reason: str) -> bool:
        """Brings a persona up to date and records it; False if Mavera no longer has it."""
        await self._account.note_usage()
        try:
            persona = await self._patience.call(lambda: self._context.mavera.update(record.persona_id, order.payload))
        except PersonaGone:
            await self._context.personas.forget(order.text, record)
            return False
        await self._keep_sent(order, record.persona_id, "updated", 0, persona, reason)
        return True

    async def _leave(
        self, order: _Order, known: PersonaRecord | None, record: PersonaRecord, decision: Decision
    ) -> None:
        """Notes that nothing is sent. known: the record in Redis, None if the persona was only found at Mavera."""
        seen, action = record, "skipped"
        if decision.action == "leave":
            seen, action = replace(record, sync_id=self._begun.lease.sync_id, n=order.summary.n), "unchanged"
        outcome = PersonaOutcome(order.summary.key, record.persona_id, action, 0, reason=decision.reason)
        leave = partial(self._context.personas.leave, self._lease.grant, order.text, known, seen, outcome)
        self._kept[order.summary.key] = leave
        await leave()

    async def _create(self, order: _Order) -> PersonaRecord | None:
        """Buys the persona and records it; or returns the record of one that has turned up meanwhile."""
        while True:
            await self._budget.permit(1)
            await self._account.permit()
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
            if doubt.wait_s is not None:
                longest_s = self._context.settings.retry_after_max_s
                await self._context.mavera_limiter.penalise(min(doubt.wait_s, longest_s))
            if await self._resolve(order, Claim(by, self._begun.lease.sync_id, age_s=0.0)):
                return True
            await self._posting.failed(Retry("mavera_unavailable", str(doubt)))
            return False
        except NotPermitted:
            await self._context.personas.release(order.text, by)
            return False
        except ApiError as refusal:
            await self._context.personas.release(order.text, by)
            log_refusal(self._begun, order.summary.key, refusal)
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
        await self._keep_sent(order, persona.id, "created", charged, persona)

    async def _resolve(self, order: _Order, claim: Claim) -> bool:
        """Waits until a claim without a record is no longer in doubt. True: it was ours, bought and now recorded.

        False: the purchase begins anew; a persona that another sync has bought is recorded by then.
        """
        seen_at = self._context.clock()
        persona_id, _ = await self._listed_after_all(order)
        if persona_id:
            return await self._bought(order, persona_id, claim)
        while (age_s := claim.age_s + self._context.clock() - seen_at) < self._context.settings.mavera_settle_s:
            await self._lease.say(f"{order.summary.label}: a persona may be on its way; waiting until that is certain")
            await self._context.sleep(min(DOUBT_POLL_S, self._context.settings.mavera_settle_s - age_s))
            if await self._context.personas.find(order.text):
                return False
        for _ in range(2):
            persona_id, complete = await self._listed_after_all(order)
            if persona_id:
                return await self._bought(order, persona_id, claim)
            if not complete:
                raise ResumableStop(
                    "persona_in_doubt",
                    f"A persona for {order.summary.label} may have been bought, and Mavera's list is not complete, so "
                    "it is unknown. None was bought again. The list is read again when the sync goes on",
                )
        await self._context.personas.release(order.text, claim.by)
        return False

    async def _listed_after_all(self, order: _Order) -> tuple[str | None, bool]:
        """The id of the persona in doubt, if it is listed; and whether the listing was complete."""
        lookup = await look_up(self._context, self._patience, order.reference.family)
        persona_id = lookup.found.get(order.text)
        return (None if persona_id in self._gone else persona_id), lookup.complete

    async def _bought(self, order: _Order, persona_id: str, claim: Claim) -> bool:
        """Records a persona for the sync that claimed it and could not say so. True if that is ours: it is settled."""
        sync_id = claim.sync_id
        # What the claim's POST said is not known for certain: the sync may have been restarted since.
        complete = sync_id != self._begun.lease.sync_id or self._begun.checkpoint.complete
        record = replace(self._found(order, persona_id), sync_id=sync_id, complete=complete)
        outcome = PersonaOutcome(order.summary.key, persona_id, "created", CREDITS_PER_PERSONA)
        if sync_id == self._begun.lease.sync_id:
            await self._keep(order, record, outcome)
            return True
        await self._context.personas.record(order.text, record, outcome)
        return False

    async def _keep_sent(
        self,
        order: _Order,
        persona_id: str,
        action: str,
        credits_charged: int,
        answer: Persona | None,
        reason: str = "",
    ) -> None:
        """Records a persona that has just been sent its payload."""
        ignored = ignored_fields(order.payload.as_json(), answer)
        outcome = PersonaOutcome(order.summary.key, persona_id, action, credits_charged, ignored, reason)
        sent = Sent(order.payload.wording, order.payload.figures, await self._context.personas.now())
        record = replace(self._found(order, persona_id), complete=self._begun.checkpoint.complete, sent=sent)
        await self._keep(order, record, outcome)

    async def _keep(self, order: _Order, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        keep = partial(self._context.personas.record, order.text, record, outcome, fetched_at=self._begun.fetched_at)
        self._kept[order.summary.key] = keep
        await keep()
        log_outcome(self._begun, outcome)
        self._posting.succeeded()

    def _found(self, order: _Order, persona_id: str) -> PersonaRecord:
        return found_record(self._begun.request, self._begun.lease.sync_id, order.summary, persona_id)
