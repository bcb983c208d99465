"""Starts the syncs that other programs ask for in the inbox of Redis, as a duty of the watchdog.

A document stays in the inbox until its answer is written. A worker that dies in between leaves it to the next, which
gets the same sync, because the id of the document is its idempotency key.
"""

from __future__ import annotations

import logging

from worker.jobs.job_payloads import sync_payload
from worker.log_format import log_about
from worker.models.inbox import InboxAnswer, InboxDocument, InvalidDocument
from worker.models.sync import new_sync_id
from worker.models.versions import NewerVersion
from worker.store import ClientSyncStore
from worker.store.inbox import InboxStore

log = logging.getLogger("segment_personas.inbox")

AT_ONCE = 100
"""Documents that one check handles, so that the watchdog has time for its other duties."""


class InboxReader:
    """Handles the documents of the inbox in their order.

    Args:
        inbox: The documents.
        syncs: Creates the syncs; they belong to the account of the worker that takes their first job.
    """

    def __init__(self, inbox: InboxStore, syncs: ClientSyncStore) -> None:
        self._inbox = inbox
        self._syncs = syncs

    async def check_due(self) -> None:
        """Handles what is in the inbox, at most `AT_ONCE` documents. A newer one is left to newer workers."""
        for _ in range(AT_ONCE):
            text = await self._inbox.first()
            if text is None:
                return
            try:
                document = InboxDocument.read(text)
            except NewerVersion as error:
                log.info("left a request in the inbox to newer workers: %s", error)
                return
            except InvalidDocument as error:
                log.warning("refused a request in the inbox: %s", error)
                answer = InboxAnswer(code="invalid_request", message=str(error))
                await self._inbox.answer(text, error.document_id, answer)
                continue
            await self._inbox.answer(text, document.id, await self._start(document))

    async def _start(self, document: InboxDocument) -> InboxAnswer:
        sync_id, request = new_sync_id(), document.request
        job = sync_payload(sync_id, "walk", 1)
        chosen = await self._syncs.create(sync_id, request, job, idempotency_key=document.id)
        with log_about(sync=chosen, space=request.space_id):
            sync = None if chosen == sync_id else await self._syncs.get(chosen)
            differences = request.differences(sync.request) if sync else []
            if sync is None or not differences:
                log.info("sync %s: asked for in the inbox, of space %s", chosen, request.space_id)
                return InboxAnswer(sync_id=chosen)
            first = await self._syncs.asked_request(sync, document.id)
            if first is not None and not request.differences(first):
                return InboxAnswer(sync_id=chosen)
            code = "sync_running" if first is None else "idempotency_key_used"
            log.info("refused a request in the inbox: %s by sync %s", code, chosen)
            return InboxAnswer(code=code, message=f"sync {chosen} differs: {'; '.join(differences)}")
