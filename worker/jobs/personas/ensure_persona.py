"""Buying a persona exactly once, from an API that promises no idempotency; and sending it only what is news.

    known (record) or found (reference at Mavera)?  ── yes → decide ┬ update → PATCH → record
      │ no, and absence is believable                               └ leave, skip → note the outcome
    throttle slot → connection → claim ── recorded by another → decide, as above
      │ won                        └───── held by another → in doubt
    body of the POST, sent within the claim's deadline
      ├ made → record            (ends the claim)
      ├ not sent, or definitely refused → release the claim; retry or stop
      └ no definite answer → in doubt

What to do with a persona that is known is `decision`; what it takes to believe that there is none is `persona_finder`.
A persona that is to be left must be listed at Mavera: one that is not may have been deleted by hand, so it gets a
PATCH, which is free and tells. A 404 to that PATCH counts only if the list does not have the persona either.

The claim is taken when the connection of the POST is made, so its deadline covers neither DNS nor TCP nor TLS; missing
it is a failure like any other, and counts against the retry budget.

In doubt: presence at Mavera is believed at once. Absence is believed after this process has watched the claim for the
settle time, the longer one of its own settings and the claimant's, by its own monotonic clock, from two complete
listings; then the claim is released and the purchase begins anew, for as long as the retry budget lasts. The sync's
other clusters go first (`finalize`). What stays open is a process that is frozen between its check of the deadline and
its send for longer than the settle time, and a persona that Mavera lists later than that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from functools import partial

from worker.clusters import ClusterSummary
from worker.clusters.analysis.change_detection import ChangeThreshold
from worker.errors import ApiError, ResumableStop, Retry
from worker.http.client import NotPermitted
from worker.jobs.api_caller import ApiCaller
from worker.jobs.audit_log import log_outcome, log_refusal
from worker.jobs.lease import Lease
from worker.jobs.personas.account import Account
from worker.jobs.personas.budget import Budget
from worker.jobs.personas.lookup import Lookup, cluster_reference, found_record
from worker.jobs.personas.persona_action import PersonaAction, decide_action
from worker.jobs.personas.persona_finder import PersonaFinder, PersonaInDoubt, RedisUnsettled
from worker.jobs.settle_watch import SettleWatch
from worker.mavera import (
    CREDITS_PER_PERSONA,
    MaveraClient,
    Persona,
    PersonaGone,
    PersonaPayload,
    PostUncertain,
    Reference,
    build_payload,
)
from worker.mavera.ignored_fields import find_ignored_fields
from worker.models.outcome import PersonaOutcome
from worker.settings import CLAIM_DEADLINE_S
from worker.store import Claim, ClaimAnswer, JobSyncStore, LeaseGrant, PersonaRecord, PersonaStore, Sent
from worker.store.syncs.sync_progress import StartedJob, new_token

log = logging.getLogger("segment_personas.jobs")

DOUBT_POLL_S = 0.5
LAST_POST_S = 5.0
"""How long a worker that is told to stop waits for the answer to a POST on its way."""


@dataclass(frozen=True)
class PersonaRequest:
    """What is to be had: a cluster's persona, and the reference by which it is known."""

    summary: ClusterSummary
    reference: Reference
    payload: PersonaPayload

    @property
    def text(self) -> str:
        """The reference as it stands in the description, and in our records."""
        return str(self.reference)


@dataclass
class PurchaseAttempt:
    """One attempt to buy. by: names it. answer: to its claim. sent: whether the POST may have gone out.

    restarted: Redis was restarted since the look-up. stopped: the job is over, so nothing may be sent any more.
    """

    by: str = field(default_factory=new_token)
    asked_at: float = 0.0
    answer: ClaimAnswer | None = None
    restarted: bool = False
    stopped: bool = False
    sent: bool = False


class PersonaEnsurer:
    """Ensures that the clusters of one sync have their personas, one cluster at a time.

    Args:
        started: The sync.
        lease: The job's right to work on it.
        mavera: Client of the account.
        caller: Sends the free requests to Mavera.
        post_caller: Sends the POSTs. It has a retry budget of its own, because successful list requests do not show
            that Mavera creates personas.
        finder: What is at Mavera.
        personas: Records and claims.
        syncs: Where syncs are kept.
        budget: Of the sync.
        account: The Mavera account.
        settle_watch: For how long this process has seen claims.
        settle_s: Seconds after which absence is believed (`MAVERA_SETTLE_S`).
        threshold: How far a share or a mean must have moved for an update.
    """

    def __init__(
        self,
        started: StartedJob,
        lease: Lease[LeaseGrant],
        *,
        mavera: MaveraClient,
        caller: ApiCaller,
        post_caller: ApiCaller,
        finder: PersonaFinder,
        personas: PersonaStore,
        syncs: JobSyncStore,
        budget: Budget,
        account: Account,
        settle_watch: SettleWatch,
        settle_s: float,
        threshold: ChangeThreshold,
    ) -> None:
        self._started = started
        self._lease = lease
        self._mavera = mavera
        self._caller = caller
        self._post_caller = post_caller
        self._finder = finder
        self._personas = personas
        self._syncs = syncs
        self._budget = budget
        self._account = account
        self._settle_watch = settle_watch
        self._settle_s = settle_s
        self._threshold = threshold
        self._clock = post_caller.policy.clock
        self._sleep = post_caller.policy.sleep
        self._lookup = Lookup.decode(started.lookup)
        self._gone: set[str] = set()
        self._twins_told: set[str] = set()
        self._kept: dict[str, Callable[[], Awaitable[None]]] = {}

    @property
    def trouble_ms(self) -> int:
        """For how long Mavera has failed by now to make a persona."""
        return self._post_caller.trouble_ms

    def made_progress(self) -> None:
        """A cluster is settled: what an earlier job had to wait for is over."""
        self._caller.made_progress()
        self._post_caller.made_progress()

    async def confirm(self) -> None:
        """Records again what this job recorded and Redis has lost since, by a restart without its last moments."""
        known = {outcome.cluster for outcome in await self._syncs.outcomes(self._started.lease.sync_id)}
        for cluster, keep in self._kept.items():
            if cluster not in known:
                await keep()

    async def ensure_persona(self, summary: ClusterSummary, *, last: bool = False) -> None:
        """Sees to it that a large enough cluster has one persona, up to date and recorded.

        Of any other cluster it notes why the persona that it has stays as it is.

        Args:
            summary: Of the cluster.
            last: Whether there is nothing else to do for the sync, so that a purchase in doubt is waited for here.

        Raises:
            PersonaInDoubt: Whether the cluster has a persona is not known, or not yet.
            ApiError, Defer, LeaseLost: The sync cannot go on now.
        """
        reference = cluster_reference(self._started.request, self._started.lease.sync_id, summary.key)
        wanted = PersonaRequest(summary, reference, build_payload(summary, reference, self._started.request.rules))
        if last and await self._is_settled(wanted):
            return
        known = record = await self._personas.find(wanted.text)
        if record is None and self._decide(wanted, None).action == "skip":
            record = self._remembered(wanted)
            if record is None:
                return
        elif record is None:
            claim = await self._personas.claimed(wanted.text)
            record = await self._at_mavera(wanted, claim, last=last)
            if record and claim and await self._bought(wanted, record.persona_id, claim):
                return
        while True:
            if record is None:
                if self._decide(wanted, None).action == "skip":
                    return  # the persona was deleted by hand, and a part of a space creates none
                known = record = await self._create(wanted, last=last)
                if record and await self._is_settled(wanted):
                    return  # another sync has found what this one had bought
            if record is None or await self._bring_up_to_date(wanted, known, record):
                return
            # Someone deleted it by hand: it is created anew, unless another one turns up.
            self._gone.add(record.persona_id)
            known, record = None, await self._at_mavera(wanted, None, last=last)

    async def _is_settled(self, wanted: PersonaRequest) -> bool:
        outcomes = await self._syncs.outcomes(self._started.lease.sync_id)
        return any(one.cluster == wanted.summary.key for one in outcomes)

    async def _bring_up_to_date(
        self, wanted: PersonaRequest, known: PersonaRecord | None, record: PersonaRecord
    ) -> bool:
        """Updates a persona or leaves it, and notes which; False if Mavera no longer has it.

        known: its record in Redis, None if it was only found at Mavera.
        """
        decision = self._decide(wanted, record)
        if decision.action == "leave" and not await self._finder.is_listed(record.persona_id):
            decision = PersonaAction("update", "Mavera does not list it")
        if decision.action == "update":
            return await self._update(wanted, record, decision.reason)
        await self._leave(wanted, known, record, decision)
        return True

    def _decide(self, wanted: PersonaRequest, record: PersonaRecord | None) -> PersonaAction:
        return decide_action(
            self._started.request,
            wanted.summary,
            wanted.payload,
            record,
            threshold=self._threshold,
            complete=self._started.checkpoint.complete,
        )

    def _remembered(self, wanted: PersonaRequest) -> PersonaRecord | None:
        """The persona as an earlier look-up found it, for a cluster that needs none: not worth another look."""
        persona_id = self._lookup.found.get(wanted.text) if self._lookup else None
        return None if persona_id is None else self._found(wanted, persona_id)

    async def _at_mavera(self, wanted: PersonaRequest, claim: Claim | None, *, last: bool) -> PersonaRecord | None:
        """The persona as Mavera lists it; None if there is surely none. Raises as `settle`.

        claim: on the persona, if there is one: then a persona that is not listed yet may be on its way.
        """
        if claim is not None:
            persona_id = await self._listed_after_all(wanted, claim)
            if persona_id is None and not last:
                raise _on_its_way(wanted)
        else:
            persona_id = await self._finder.find(wanted.payload, wanted.reference)
        if persona_id in self._gone:
            raise _contradiction(wanted, str(persona_id))
        return None if persona_id is None else self._found(wanted, persona_id)

    async def _restarted_since_lookup(self) -> bool:
        run, _ = await self._personas.redis_run()
        return self._finder.run() != run

    async def _update(self, wanted: PersonaRequest, record: PersonaRecord, reason: str) -> bool:
        """Brings a persona up to date and records it; False if Mavera no longer has it."""
        await self._account.note_usage()
        try:
            persona = await self._caller.call(lambda: self._mavera.update(record.persona_id, wanted.payload))
        except PersonaGone:
            if await self._finder.still_lists(record.persona_id):
                raise _contradiction(wanted, record.persona_id) from None
            await self._personas.forget(wanted.text, record)
            return False
        except ResumableStop as refusal:
            if refusal.code != "mavera_forbidden":
                raise
            raise ResumableStop(
                refusal.code,
                f"{refusal}. If this persona cannot be changed any more, run `segment-personas personas forget "
                f"{record.space_id} {record.cluster}`; the next sync then makes a new one unless it finds it again",
            ) from None
        await self._keep_sent(wanted, record.persona_id, "updated", 0, persona, reason)
        return True

    async def _leave(
        self, wanted: PersonaRequest, known: PersonaRecord | None, record: PersonaRecord, decision: PersonaAction
    ) -> None:
        """Notes that nothing is sent. known: the record in Redis, None if the persona was only found at Mavera."""
        seen, action = record, "skipped"
        if decision.action == "leave":
            seen, action = replace(record, sync_id=self._started.lease.sync_id, n=wanted.summary.n), "unchanged"
        outcome = await self._with_twins(
            wanted, PersonaOutcome(wanted.summary.key, record.persona_id, action, 0, reason=decision.reason)
        )
        leave = partial(self._personas.leave, self._lease.grant, wanted.text, known, seen, outcome)
        self._kept[wanted.summary.key] = leave
        await leave()

    async def _create(self, wanted: PersonaRequest, *, last: bool) -> PersonaRecord | None:
        """Buys the persona and records it; or returns the record of one that has turned up meanwhile."""
        while True:
            if (record := await self._personas.find(wanted.text)) is not None:
                return record
            await self._budget.permit(1, without={wanted.text})
            await self._account.permit()
            await self._caller.slot()
            if (record := await self._at_mavera(wanted, None, last=last)) is not None:
                return record
            attempt = PurchaseAttempt()
            if await self._post(wanted, attempt, last=last):
                return None
            if attempt.answer is None:
                continue
            if attempt.answer.record is not None:
                return attempt.answer.record
            if attempt.answer.claim is not None and await self._resolve(wanted, attempt.answer.claim, last=last):
                return None

    async def _post(self, wanted: PersonaRequest, attempt: PurchaseAttempt, *, last: bool) -> bool:
        """Sends the POST of an attempt if it gets the claim. True: bought and recorded; False: see its `answer`."""
        sending = asyncio.create_task(self._send_and_keep(wanted, attempt))
        try:
            await asyncio.shield(sending)
        except PostUncertain as doubt:
            log.warning("%s; looking whether it was made", doubt)
            if doubt.wait_s is not None:
                await self._post_caller.penalise(doubt.wait_s)
            self._finder.forget_lists()
            claim = Claim(attempt.by, self._started.lease.sync_id, age_s=0.0)
            if await self._resolve(wanted, claim, last=last):
                return True
            await self._post_caller.failed(Retry("mavera_unavailable", str(doubt)))
            attempt.answer = None
            return False
        except NotPermitted:
            await self._release_unsent(wanted, attempt)
            won = attempt.answer is not None and attempt.answer.kind == "won"
            if won and not attempt.restarted:
                await self._post_caller.failed(
                    Retry(
                        "mavera_unavailable",
                        f"Mavera, {wanted.payload.name}: the POST could not be sent within {CLAIM_DEADLINE_S:g} s of "
                        "its claim, so it was not sent",
                    )
                )
            return False
        except ApiError as refusal:
            await self._personas.release(wanted.text, attempt.by)
            log_refusal(self._started, wanted.summary.key, refusal)
            if not isinstance(refusal, Retry):
                raise
            await self._post_caller.failed(refusal)
            attempt.answer = None
            return False
        except asyncio.CancelledError:
            if attempt.sent:
                await self._wait_for_answer(sending)
            attempt.stopped = True
            sending.cancel()
            if not attempt.sent or (sending.done() and _is_refused(sending)):
                await self._release_unsent(wanted, attempt)
            raise
        except Exception:
            if not attempt.sent:
                await self._release_unsent(wanted, attempt)
            raise
        return True

    async def _release_unsent(self, wanted: PersonaRequest, attempt: PurchaseAttempt) -> None:
        """Releases the claim of an attempt that has bought nothing, if it has one; its answer may have been lost."""
        if attempt.asked_at:
            await self._personas.release(wanted.text, attempt.by)

    async def _wait_for_answer(self, sending: asyncio.Task[None]) -> None:
        """Waits for a POST on its way: to its end if only the sync is over, `LAST_POST_S` if the worker stops."""
        if self._lease.lost:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({sending})
        await asyncio.wait({sending}, timeout=LAST_POST_S)

    async def _send_and_keep(self, wanted: PersonaRequest, attempt: PurchaseAttempt) -> None:
        async def claim() -> None:
            """Takes the claim, once the connection is made."""
            if attempt.stopped:
                return
            attempt.asked_at = self._clock()
            attempt.answer = await self._personas.claim(
                self._lease.grant, wanted.text, attempt.by, settle_s=self._settle_s
            )
            # Redis may have lost somebody's claim, and with it the right of ours: look at Mavera again first.
            if attempt.answer.kind == "won" and await self._restarted_since_lookup():
                attempt.restarted = True
                self._finder.forget_lists()

        def permit() -> bool:
            won = attempt.answer is not None and attempt.answer.kind == "won"
            # Later than the deadline, somebody may have begun to doubt the claim.
            in_time = self._clock() - attempt.asked_at <= CLAIM_DEADLINE_S
            attempt.sent = won and in_time and not attempt.restarted and not attempt.stopped
            return attempt.sent

        persona = await self._mavera.create(wanted.payload, permit, on_connected=claim)
        charged = CREDITS_PER_PERSONA if persona.credits_charged is None else persona.credits_charged
        await self._keep_sent(wanted, persona.id, "created", charged, persona)

    async def _resolve(self, wanted: PersonaRequest, claim: Claim, *, last: bool) -> bool:
        """Waits until a claim without a record is no longer in doubt. True: it was ours, bought and now recorded.

        False: the purchase begins anew; a persona that another sync has bought is recorded by then. Raises
        PersonaInDoubt if it is in doubt and other clusters can go first, or if waiting does not help.
        """
        watch, settle_s = self._settle_watch, max(self._settle_s, claim.settle_s)
        watch.claim_s(claim.by)
        if persona_id := await self._listed_after_all(wanted, claim):
            return await self._bought(wanted, persona_id, claim)
        if not last and watch.claim_s(claim.by) < settle_s:
            raise _on_its_way(wanted)
        while (watched_s := watch.claim_s(claim.by)) < settle_s:
            await self._lease.set_note(
                f"{wanted.summary.label}: a persona may be on its way; waiting until that is certain"
            )
            await self._sleep(min(DOUBT_POLL_S, settle_s - watched_s))
            if await self._personas.find(wanted.text):
                return False
        for _ in range(2):
            self._finder.forget_lists()
            if persona_id := await self._finder.find(wanted.payload, wanted.reference, claimed=self._is_ours(claim)):
                return await self._bought(wanted, persona_id, claim)
        await self._personas.release(wanted.text, claim.by)
        return False

    async def _listed_after_all(self, wanted: PersonaRequest, claim: Claim) -> str | None:
        """The id of the persona in doubt, if Mavera lists it by now; None also if that is not known yet."""
        self._finder.forget_lists()
        with contextlib.suppress(PersonaInDoubt, RedisUnsettled):
            return await self._finder.find(wanted.payload, wanted.reference, claimed=self._is_ours(claim))
        return None

    def _is_ours(self, claim: Claim) -> bool:
        return claim.sync_id == self._started.lease.sync_id

    async def _bought(self, wanted: PersonaRequest, persona_id: str, claim: Claim) -> bool:
        """Records a persona for the sync that claimed it and could not say so. True if that is ours: it is settled."""
        sync_id = claim.sync_id
        # What the claim's POST said is not known for certain: the sync may have been restarted since.
        complete = sync_id != self._started.lease.sync_id or self._started.checkpoint.complete
        record = replace(self._found(wanted, persona_id), sync_id=sync_id, complete=complete)
        outcome = PersonaOutcome(wanted.summary.key, persona_id, "created", CREDITS_PER_PERSONA)
        if sync_id == self._started.lease.sync_id:
            await self._keep(wanted, record, outcome)
            return True
        await self._personas.record(wanted.text, record, outcome)
        return False

    async def _keep_sent(
        self,
        wanted: PersonaRequest,
        persona_id: str,
        action: str,
        credits_charged: int,
        answer: Persona | None,
        reason: str = "",
    ) -> None:
        """Records a persona that has just been sent its payload."""
        ignored = find_ignored_fields(wanted.payload.as_json(), answer)
        outcome = await self._with_twins(
            wanted, PersonaOutcome(wanted.summary.key, persona_id, action, credits_charged, ignored, reason)
        )
        sent = Sent(wanted.payload.wording, wanted.payload.figures, await self._personas.now())
        record = replace(self._found(wanted, persona_id), complete=self._started.checkpoint.complete, sent=sent)
        await self._keep(wanted, record, outcome)

    async def _keep(self, wanted: PersonaRequest, record: PersonaRecord, outcome: PersonaOutcome) -> None:
        keep = partial(self._personas.record, wanted.text, record, outcome, fetched_at=self._started.fetched_at)
        self._kept[wanted.summary.key] = keep
        await keep()
        log_outcome(self._started, outcome)
        self._post_caller.succeeded()

    def _found(self, wanted: PersonaRequest, persona_id: str) -> PersonaRecord:
        return found_record(self._started.request, self._started.lease.sync_id, wanted.summary, persona_id)

    async def _with_twins(self, wanted: PersonaRequest, outcome: PersonaOutcome) -> PersonaOutcome:
        """The outcome, with the other personas that carry the same reference."""
        twins = tuple(one for one in await self._finder.twins(wanted.reference) if one != outcome.persona_id)
        if twins and wanted.text not in self._twins_told:
            self._twins_told.add(wanted.text)
            log.warning(
                "%s: %s has several personas at Mavera; %s is updated, %s are not",
                *(self._started.lease.sync_id, wanted.summary.key, outcome.persona_id, ", ".join(twins)),
            )
        return replace(outcome, twins=twins)


def _is_refused(sending: asyncio.Task[None]) -> bool:
    return not sending.cancelled() and isinstance(sending.exception(), ApiError | NotPermitted)


def _on_its_way(wanted: PersonaRequest) -> PersonaInDoubt:
    return PersonaInDoubt(f"A persona for {wanted.summary.label} may be on its way; none was bought again")


def _contradiction(wanted: PersonaRequest, persona_id: str) -> PersonaInDoubt:
    return PersonaInDoubt(
        f"Mavera answers 404 to the update of {persona_id}, the persona of {wanted.summary.label}, and lists it "
        "all the same. None was bought. Check MAVERA_BASE_URL and what the key may change; if it is gone, wait until "
        "the list has forgotten it"
    )
