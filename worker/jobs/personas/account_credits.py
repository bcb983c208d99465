"""The credits of the Mavera account: checks whether they pay for the purchases, and compares the bill afterwards.

`GET /usage` is read when the first persona is about to be created or updated, and once more at the end. A sync that
changes nothing asks for neither. If the account does not answer, purchases continue, and a 402 shows
the end of its credits.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import KW_ONLY, dataclass

from worker.clusters import ClusterSummary
from worker.errors import ApiError, ResumableStop, Retry, WaitUntil
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.personas.lookup.orphans import Owner, find_orphans
from worker.jobs.personas.lookup.persona_list import cluster_reference
from worker.mavera import CREDITS_PER_PERSONA, MaveraClient, Usage
from worker.models.allowance import Allowance
from worker.models.plan import AccountBill, AccountCredits
from worker.printable import json_text
from worker.store import JobSyncStore, LeaseGrant, PersonaStore
from worker.store.progress.sync_progress import StartedJob
from worker.store.webhooks.outbox_store import OutboxStore

log = logging.getLogger("segment_personas.jobs")

MAX_COMPARED_S = 3600.0
"""Longest time between the two readings that are compared, in seconds. Over more time, other users of the account would
dominate the difference."""

UNKNOWN_CREDITS = "Mavera does not report the credits left in the account (GET /usage)"


@dataclass
class UsageReader:
    """Reads what the account has left, for one job. Each answer teaches the limiter the account's rate.

    Attributes:
        mavera: Client of the account.
        caller: Throttles the requests.
        may_raise_rate: Whether a rate above the configured one is used, because `MAVERA_RATE` is not set.
        on_usage: Called with each answer.
        account: Its name for metrics, if `SPACES_FILE` names it.
    """

    mavera: MaveraClient
    caller: ApiCaller
    _: KW_ONLY
    may_raise_rate: bool
    on_usage: Callable[[Usage], Awaitable[None]]
    account: str = ""

    async def read(self) -> Usage | None:
        """Asks what the account has left; None if it does not say.

        Raises:
            Defer: The next slot of the rate limit is far away.
            ResumableStop: The key is not accepted.
        """
        policy = self.caller.policy
        for failures in (1, 2):
            await self.caller.wait_for_slot()
            try:
                usage = await self.mavera.usage()
            except WaitUntil as error:
                await self.caller.limiter.penalise(policy.wait_s(error, failures))
                return None
            except Retry as error:
                log.info("%s", error)
                await policy.sleep(policy.pause_s(failures))
            except ApiError as error:
                if error.code == "mavera_unauthorized":
                    raise
                log.info("%s", error)
                return None
            else:
                if usage and usage.requests_per_minute:
                    self._learn_rate(usage.requests_per_minute)
                if usage:
                    await self.on_usage(usage)
                if usage and usage.remaining is not None:
                    self.caller.metrics.note_credits_left(usage.remaining, self.account)
                return usage
        return None

    def _learn_rate(self, requests_per_minute: int) -> None:
        """Passes the account's rate to the limiter; a rate above that of the settings only if it may be raised."""
        self.caller.limiter.learn_limit(Allowance(requests_per_minute))
        if self.may_raise_rate:
            self.caller.limiter.raise_limit(requests_per_minute)


async def note_credits(outbox: OutboxStore, credits_low: int, usage: Usage) -> None:
    """Lets `credits.low` be sent if the account has become able to spend fewer than `credits_low` credits."""
    available = usage.available
    low = available is not None and available < credits_low
    document = {"text": usage.describe(), "available": available, "credits_low": credits_low}
    await outbox.note_credits(low=low, document=json_text(document))


def account_credits(usage: Usage | None) -> AccountCredits:
    """Returns the credits of a usage, as they are shown and stored."""
    if usage is None:
        return AccountCredits(text=UNKNOWN_CREDITS)
    return AccountCredits(
        text=usage.describe(),
        used=usage.used,
        included=usage.included,
        remaining=usage.remaining,
        available=usage.available,
        period_start=usage.period_start,
        period_end=usage.period_end,
        auto_recharge=usage.auto_recharge,
        usage_limit=usage.usage_limit,
    )


class Account:
    """The Mavera account as one job of a sync uses it.

    Args:
        started: The job's sync.
        grant: The job's right to work on it.
        usage: Reads what the account has left.
        syncs: Where syncs are kept.
        personas: Records and claims of personas.
        creations: Counts how many of some clusters need a new persona, by free requests.
    """

    def __init__(
        self,
        started: StartedJob,
        grant: LeaseGrant,
        usage: UsageReader,
        syncs: JobSyncStore,
        personas: PersonaStore,
        creations: Callable[[Collection[ClusterSummary]], Awaitable[int]],
    ) -> None:
        self._started = started
        self._grant = grant
        self._reader = usage
        self._syncs = syncs
        self._personas = personas
        self._creations = creations
        self._usage: Usage | None = None
        self._bill: AccountBill | None = None
        self._is_read = False
        self._is_permitted = False
        self.left: Collection[ClusterSummary] = ()
        """The clusters that are not settled yet."""

    async def note_usage(self) -> None:
        """Reads the usage before anything is sent, once for a sync, so that its bill can be compared."""
        if self._is_read:
            return
        sync = await self._syncs.get(self._started.lease.sync_id)
        now = await self._personas.now()
        known = sync.account if sync else None
        if known and (known.after is not None or now - known.at > MAX_COMPARED_S):
            known = None
        if known and known.before.text == UNKNOWN_CREDITS:  # an earlier job asked: each asking might never end
            self._is_read = True
            return
        self._usage = await self._reader.read()
        self._is_read = True
        if self._usage is None:
            log.info(
                "%s: %s; the credits are not checked before purchases", self._started.request.space_id, UNKNOWN_CREDITS
            )
        if known:
            self._bill = known
            return
        before = account_credits(self._usage)
        self._bill = AccountBill(before=before, at=now, charged_before=sync.credits if sync else 0)
        await self._syncs.store_bill(self._grant, self._bill)

    async def require_credits(self) -> None:
        """Returns if the account can pay for all planned purchases; asked before the first purchase of a job.

        Raises:
            ResumableStop: `insufficient_credits`: it cannot. Nothing was bought.
        """
        if self._is_permitted:
            return
        await self.note_usage()
        await self._warn_of_orphans()
        available = self._usage.available if self._usage else None
        if available is not None and available < CREDITS_PER_PERSONA * len(self.left):
            personas = await self._creations([one for one in self.left if not await self._is_claimed(one)])
            if personas * CREDITS_PER_PERSONA > available:
                assert self._usage
                raise insufficient_credits_error(personas, available, self._usage)
        self._is_permitted = True

    async def _warn_of_orphans(self) -> None:
        """Logs orphans: a persona that is about to be bought may replace that of a cluster whose key was renamed."""
        request = self._started.request
        if request.mode == "create":
            return
        owner = Owner(request.space_id, request.collection, request.rules.name)
        for orphan in find_orphans(await self._personas.all_records(), {}, owner, request.rules.cluster_keys):
            log.warning(
                "%s: persona %s of cluster %s is left behind: the rules %s have no such cluster; sync %s",
                *(request.space_id, orphan.persona_id, orphan.cluster, request.rules.name, self._started.lease.sync_id),
            )

    async def _is_claimed(self, summary: ClusterSummary) -> bool:
        """Returns whether a persona for the cluster may be paid already; what it cost is then gone from the account."""
        reference = cluster_reference(self._started.request, self._started.lease.sync_id, summary.key)
        return await self._personas.find_claim(str(reference)) is not None

    async def compare_bill(self) -> None:
        """Reads the usage again if something was sent, keeps both with the sync, and reports a difference."""
        if self._bill is None:
            sync = await self._syncs.get(self._started.lease.sync_id)
            self._bill = sync.account if sync else None
        if self._bill is None or self._bill.after is not None or self._bill.before.text == UNKNOWN_CREDITS:
            return
        try:
            usage = await self._reader.read()
        except (ApiError, Defer) as error:
            log.info("%s: the bill is not compared: %s", self._started.request.space_id, error)
            return
        sync = await self._syncs.get(self._started.lease.sync_id)
        charged = (sync.credits if sync else 0) - self._bill.charged_before
        bill = self._bill = self._bill.model_copy(update={"after": account_credits(usage), "charged": charged})
        await self._syncs.store_bill(self._grant, bill)
        if bill.difference:
            log.log(
                logging.WARNING if bill.difference > 0 else logging.INFO,
                *("%s: sync %s: %s", self._started.request.space_id, self._started.lease.sync_id, bill.describe()),
            )


def insufficient_credits_error(personas: int, available: int, usage: Usage) -> ResumableStop:
    """Returns the error for an account that cannot pay for all purchases."""
    count = f"{personas} persona{'' if personas == 1 else 's'}"
    return ResumableStop(
        "insufficient_credits",
        f"{count} would cost {personas * CREDITS_PER_PERSONA:,} credits, and the Mavera account can spend "
        f"{available:,} ({usage.describe()}). None was bought",
        hint="Top up the account, raise its limit or wait for its next billing period.",
    )
