"""Builds what a worker does beside its jobs: the watchdog with its duties, the inbox reader, and webhooks."""

from __future__ import annotations

from worker.input_values import read_webhook_secrets
from worker.jobs.background.inbox_reader import InboxReader
from worker.jobs.background.watchdog import Watchdog
from worker.jobs.background.webhook_deliverer import WebhookDeliverer
from worker.jobs.schedules.overdue_watch import OverdueWatch
from worker.jobs.schedules.scheduler import Scheduler
from worker.jobs.services import WorkerServices, job_timeout_s
from worker.jobs.store_factories import stall_ms
from worker.models.event_type import EVENT_TYPES, read_event_types
from worker.store import ClientSyncStore
from worker.store.inbox import InboxStore
from worker.store.scripts.watchdog import Duty
from worker.store.syncs.sync_reader import storable_ms
from worker.webhooks.sender import Receiver, WebhookSender


def build_inbox_reader(services: WorkerServices) -> InboxReader:
    """Builds the reader of what other programs ask for."""
    retention_ms = services.settings.retention_ms
    syncs = ClientSyncStore(services.pool, stall_ms=stall_ms(services.settings), retention_ms=retention_ms)
    return InboxReader(InboxStore(services.pool, retention_ms=storable_ms(retention_ms)), syncs)


def build_watchdog(services: WorkerServices) -> Watchdog:
    """Builds the watchdog of one worker."""
    settings = services.settings
    duties = {Duty.ALERTS: OverdueWatch(services.alerts).check_due, Duty.INBOX: build_inbox_reader(services).check_due}
    if services.own_syncs is None:  # or else nothing would work on the syncs that a tick starts
        duties[Duty.TICKS] = Scheduler(services.ticks).check_due
    return Watchdog(
        services.watchdog,
        every_s=min(1.0, settings.stall_s / 10),
        max_revivals=settings.max_revivals,
        furthest_s=job_timeout_s(settings) + settings.retry_after_max_s + settings.stall_s,
        spread_s=settings.stall_s / 3,
        duties=duties,
        metrics=services.metrics,
        clock=services.clock,
    )


def build_deliverer(services: WorkerServices) -> WebhookDeliverer | None:
    """Builds the deliverer of one worker; None without `WEBHOOK_URL`."""
    settings = services.settings
    if settings.webhook_url is None:
        return None
    secrets = settings.webhook_secret.get_secret_value() if settings.webhook_secret else ""
    receiver = Receiver(
        settings.webhook_url.get_secret_value(),
        read_webhook_secrets(secrets) if secrets else (),
        settings.webhook_format,
    )
    types = EVENT_TYPES if settings.webhook_events is None else read_event_types(settings.webhook_events)
    return WebhookDeliverer(services.outbox, WebhookSender(services.session, receiver), types)
