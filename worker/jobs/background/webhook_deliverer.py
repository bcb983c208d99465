"""The deliverer: a supervised task in each worker with `WEBHOOK_URL` that sends the events of the outbox.

An event is delivered at least once: it leaves the outbox only when the receiver has accepted it. A worker that dies in
an attempt leaves the event to others, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Collection

import orjson

from worker.errors import StoreUnavailable
from worker.models.event_type import EVENT_TYPES, EventType
from worker.models.versions import NewerVersion, SyncUnreadable
from worker.store.webhooks.outbox_store import OutboxStore, PendingEvent
from worker.webhooks.event import Event
from worker.webhooks.sender import TIMEOUT_S, Delivery, WebhookSender

log = logging.getLogger("segment_personas.webhooks")

POLL_S = 1.0
"""Seconds between two checks of an outbox that had no due event."""

AT_ONCE = 10
"""Events that one worker sends at a time."""

FIRST_S, GROWTH, LONGEST_S = 5.0, 4.0, 4 * 3600.0
"""Pauses after the attempts, in seconds: 5, 20, 80, 320, …, at most four hours."""

GIVE_UP_S = 86_400.0
"""Seconds after its first attempt from which on an event is not sent again."""

_HOLD_S = 2 * TIMEOUT_S + 15
_ANNOUNCE_S = 60.0
_NEWER_S = 5.0


class WebhookDeliverer:
    """Delivers events.

    Args:
        outbox: Where they wait.
        sender: Makes one attempt.
        types: Of the events that are sent; the others are removed.
    """

    def __init__(self, outbox: OutboxStore, sender: WebhookSender, types: Collection[EventType] = EVENT_TYPES) -> None:
        self._outbox = outbox
        self._sender = sender
        self._types = types
        self._sending = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Delivers what is due until cancelled."""
        announce_at = 0.0
        while True:
            if time.monotonic() >= announce_at:
                await self._outbox.announce()
                announce_at = time.monotonic() + _ANNOUNCE_S
            if not await self.deliver_due():
                await asyncio.sleep(POLL_S)

    async def finish(self) -> None:
        """Delivers what is due, and returns when each of these events, and those that `run` sends, had its attempt."""
        while await self.deliver_due():
            pass
        await self._idle.wait()

    async def deliver_due(self) -> int:
        """Makes an attempt for each event that is due, at most `AT_ONCE` of an outbox; returns how many."""
        self._sending += 1
        self._idle.clear()
        try:
            events = await self._outbox.take(AT_ONCE, _HOLD_S)
            results = await asyncio.gather(*map(self._deliver, events), return_exceptions=True)
        finally:
            self._sending -= 1
            if not self._sending:
                self._idle.set()
        for event, result in zip(events, results, strict=True):
            if isinstance(result, StoreUnavailable | asyncio.CancelledError):
                raise result
            if isinstance(result, BaseException):
                log.warning("%s cannot be delivered: %s", event.id, type(result).__name__)
        return len(events)

    async def _deliver(self, pending: PendingEvent) -> None:
        try:
            event = await self._read(pending)
        except (SyncUnreadable, ValueError) as error:
            if isinstance(error, NewerVersion) or (isinstance(error, SyncUnreadable) and error.sync.newer):
                await self._outbox.failed(pending, "a newer version has written it", _NEWER_S)
            else:
                await self._discard(pending, "it is damaged in Redis")
            return
        if event is None:
            await self._discard(pending, "it has expired")
            return
        if event.type not in self._types:
            await self._outbox.remove(pending)
            return
        delivery = await self._sender.send(event)
        if delivery.verdict == "delivered":
            await self._outbox.delivered(pending)
            log.info("%s %s is delivered (attempt %d)", event.type, event.id, pending.attempt)
        elif delivery.verdict == "refused":
            await self._discard(pending, delivery.reason)
        else:
            await self._retry(pending, delivery)

    async def _read(self, pending: PendingEvent) -> Event | None:
        if pending.kind == "sync":
            sync = await self._outbox.sync_of(pending)
            return None if sync is None else Event.of_sync(pending.id, pending.at, sync)
        return Event.of_document(pending.id, pending.kind, pending.at, orjson.loads(pending.document))

    async def _retry(self, pending: PendingEvent, delivery: Delivery) -> None:
        delay_s = retry_delay_s(pending.attempt, random.random(), delivery.retry_after_s)
        now = await self._outbox.now()
        if gives_up(pending.first_at, now + delay_s):
            await self._discard(pending, delivery.reason)
            return
        await self._outbox.failed(pending, delivery.reason, delay_s)
        log.warning("%s: attempt %d: %s; again in %.0f s", pending.id, pending.attempt, delivery.reason, delay_s)

    async def _discard(self, pending: PendingEvent, reason: str) -> None:
        await self._outbox.discard(pending, reason)
        log.error("%s is given up after attempt %d: %s", pending.id, pending.attempt, reason)


def retry_delay_s(attempts: int, jitter: float, retry_after_s: float | None = None) -> float:
    """Seconds until the next attempt.

    Args:
        attempts: How many were made, at least 1.
        jitter: Random, from 0 to 1: the pause varies by a quarter, so that many events do not come at once.
        retry_after_s: What the receiver asks for; obeyed up to the longest pause.
    """
    pause_s: float = min(FIRST_S * GROWTH ** min(attempts - 1, 20), LONGEST_S)
    varied_s = pause_s * (0.75 + 0.5 * jitter)
    return max(varied_s, min(retry_after_s or 0.0, LONGEST_S))


def gives_up(first_attempt_at: float, next_attempt_at: float) -> bool:
    """Returns whether an event is lost instead of being sent at `next_attempt_at`. Both times are Unix seconds."""
    return next_attempt_at - first_attempt_at > GIVE_UP_S
