"""Buys a persona exactly once from an API that has no idempotency key.

    throttle slot → connection → claim ── recorded by another → return that record
      │ won                        └───── held by another → in doubt
    body of the POST, sent within the claim's deadline
      ├ created → record (ends the claim)
      ├ not sent, or definitely refused → release the claim; retry or stop
      └ no definite answer → in doubt

The claim is taken when the connection of the POST is made, so its deadline covers neither DNS nor TCP nor TLS. A missed
deadline is a failure like any other and counts against the retry budget. `claim_resolver` decides what is in doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import KW_ONLY, dataclass, field

from worker.errors import ApiError, Retry
from worker.http.errors import NotPermitted
from worker.jobs.api_caller import ApiCaller
from worker.jobs.audit_log import log_refusal
from worker.jobs.lease import Lease
from worker.jobs.personas.account_credits import Account
from worker.jobs.personas.budget import Budget
from worker.jobs.personas.claim_resolver import ClaimResolver
from worker.jobs.personas.lookup.persona_finder import PersonaFinder
from worker.jobs.personas.persona_recorder import PersonaRecorder, PersonaRequest
from worker.mavera import CREDITS_PER_PERSONA, MaveraClient, PostUncertain
from worker.settings import CLAIM_DEADLINE_S
from worker.store import Claim, ClaimAnswer, LeaseGrant, PersonaRecord, PersonaStore
from worker.store.progress.sync_progress import StartedJob, new_token

log = logging.getLogger("segment_personas.jobs")

LAST_POST_S = 5.0
"""Seconds for which a worker that is shutting down waits for the answer to a POST that was sent."""


@dataclass
class PurchaseAttempt:
    """One attempt to buy a persona.

    Attributes:
        by: Token that identifies the attempt in its claim.
        asked_at: When the claim was requested, by the worker's monotonic clock; 0 before that.
        answer: The answer to the claim, None if there is none yet.
        restarted: Whether Redis was restarted since Mavera's list was read.
        stopped: Whether the job has ended, so that nothing may be sent any more.
        sent: Whether the body of the POST may have been sent.
    """

    by: str = field(default_factory=new_token)
    asked_at: float = 0.0
    answer: ClaimAnswer | None = None
    restarted: bool = False
    stopped: bool = False
    sent: bool = False


@dataclass
class PersonaCreator:
    """Buys the personas of one sync, one at a time.

    Attributes:
        started: The sync.
        lease: The job's lease on the sync.
        mavera: Client of the account.
        caller: Sends the free requests to Mavera, and limits the rate of all requests.
        post_caller: Counts the failures of POSTs. It has a retry budget of its own, because successful list requests
            do not show that Mavera creates personas.
        finder: Finds personas at Mavera.
        personas: Store of records and claims.
        recorder: Records the new persona.
        resolver: Decides about personas that are in doubt.
        budget: The sync's budget in credits.
        account: The Mavera account.
        settle_s: Settle time in seconds (`MAVERA_SETTLE_S`), stored with each claim.
    """

    started: StartedJob
    lease: Lease[LeaseGrant]
    _: KW_ONLY
    mavera: MaveraClient
    caller: ApiCaller
    post_caller: ApiCaller
    finder: PersonaFinder
    personas: PersonaStore
    recorder: PersonaRecorder
    resolver: ClaimResolver
    budget: Budget
    account: Account
    settle_s: float

    async def create(self, wanted: PersonaRequest, *, last: bool) -> PersonaRecord | None:
        """Buys a persona and records it, unless it turns out to exist.

        Args:
            wanted: The cluster's persona.
            last: Whether the sync has nothing else to do, so that this call waits for a persona in doubt.

        Returns:
            None if it was bought; the record of a persona that was found instead.

        Raises:
            PersonaInDoubt: It is not known whether the persona exists.
            ApiError, Defer, LeaseLost: The sync cannot continue now.
        """
        while True:
            await self.budget.require_credits(1, without={wanted.reference_text})
            await self.account.require_credits()
            await self.caller.wait_for_slot()
            if (record := await self.resolver.find_persona(wanted, None, last=last)) is not None:
                return record
            attempt = PurchaseAttempt()
            if await self._post(wanted, attempt, last=last):
                return None
            if attempt.answer is not None:
                if attempt.answer.record is not None:
                    return attempt.answer.record
                claim = attempt.answer.claim
                if claim is not None and await self.resolver.resolve(wanted, claim, last=last):
                    return None
            if (record := await self.personas.find_record(wanted.reference_text)) is not None:
                return record

    async def _post(self, wanted: PersonaRequest, attempt: PurchaseAttempt, *, last: bool) -> bool:
        """Sends the POST of an attempt if the attempt wins the claim.

        Returns:
            True if the persona was bought and recorded; False otherwise, with the reason in `attempt.answer`.
        """
        sending = asyncio.create_task(self._send_and_record(wanted, attempt))
        try:
            await asyncio.shield(sending)
        except PostUncertain as doubt:
            log.warning("%s; checking whether the persona was created", doubt)
            if doubt.wait_s is not None:
                await self.post_caller.penalise(doubt.wait_s)
            self.finder.forget_lists()
            claim = Claim(attempt.by, self.started.lease.sync_id, age_s=0.0)
            if await self.resolver.resolve(wanted, claim, last=last):
                return True
            await self.post_caller.wait_after_failure(Retry("mavera_unavailable", str(doubt)))
            attempt.answer = None
            return False
        except NotPermitted:
            await self._release_unsent(wanted, attempt)
            won = attempt.answer is not None and attempt.answer.kind == "won"
            if won and not attempt.restarted:
                await self.post_caller.wait_after_failure(
                    Retry(
                        "mavera_unavailable",
                        f"Mavera, {wanted.payload.name}: the POST could not be sent within {CLAIM_DEADLINE_S:g} s of "
                        "its claim, so it was not sent",
                    )
                )
            return False
        except ApiError as refusal:
            await self.personas.release_claim(wanted.reference_text, attempt.by)
            log_refusal(self.started, wanted.summary.key, refusal)
            if not isinstance(refusal, Retry):
                raise
            await self.post_caller.wait_after_failure(refusal)
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
        """Releases the claim of an attempt that bought nothing, also if the answer to the claim was lost."""
        if attempt.asked_at:
            await self.personas.release_claim(wanted.reference_text, attempt.by)

    async def _wait_for_answer(self, sending: asyncio.Task[None]) -> None:
        """Waits for the answer to a POST: until it ends if the lease is lost, `LAST_POST_S` if the worker stops."""
        if self.lease.lost:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({sending})
        await asyncio.wait({sending}, timeout=LAST_POST_S)

    async def _send_and_record(self, wanted: PersonaRequest, attempt: PurchaseAttempt) -> None:
        async def claim() -> None:
            """Takes the claim. Called when the connection is made."""
            if attempt.stopped:
                return
            attempt.asked_at = self.post_caller.policy.clock()
            attempt.answer = await self.personas.claim(
                self.lease.grant, wanted.reference_text, attempt.by, settle_s=self.settle_s
            )
            # Redis may have lost another job's claim, which makes ours invalid: look at Mavera again first.
            if attempt.answer.kind == "won" and await self._restarted_since_lookup():
                attempt.restarted = True
                self.finder.forget_lists()

        def permit() -> bool:
            won = attempt.answer is not None and attempt.answer.kind == "won"
            # After the deadline another process may already treat the claim as in doubt.
            in_time = self.post_caller.policy.clock() - attempt.asked_at <= CLAIM_DEADLINE_S
            attempt.sent = won and in_time and not attempt.restarted and not attempt.stopped
            return attempt.sent

        persona = await self.mavera.create(wanted.payload, permit, on_connected=claim)
        charged = CREDITS_PER_PERSONA if persona.credits_charged is None else persona.credits_charged
        await self.recorder.record_sent(wanted, persona.id, "created", charged, persona)

    async def _restarted_since_lookup(self) -> bool:
        run, _ = await self.personas.redis_run()
        return self.finder.redis_run() != run


def _is_refused(sending: asyncio.Task[None]) -> bool:
    return not sending.cancelled() and isinstance(sending.exception(), ApiError | NotPermitted)
