"""The deliverer, with a receiver over real HTTP that accepts, fails, redirects, hangs or has gone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from standardwebhooks.webhooks import Webhook

from tests.support.servers.web_server import Answer, WebServer, answer, forever, serving
from tests.support.servers.webhook_receiver import SECRET
from tests.support.syncs.syncs import Syncs
from worker.http.client import new_session
from worker.input_values import read_webhook_secrets
from worker.jobs.background.webhook_deliverer import WebhookDeliverer
from worker.store import StorePool, keys
from worker.store.webhooks.outbox_store import OutboxStore
from worker.webhooks import sender
from worker.webhooks.sender import Format, Receiver, WebhookSender


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_session() as session:
        yield session


@pytest.fixture
async def outbox(fake_pool: StorePool) -> OutboxStore:
    """An outbox with the event of one cancelled sync."""
    outbox = OutboxStore(fake_pool)
    await outbox.announce()
    syncs = Syncs(fake_pool)
    await syncs.create()
    await syncs.client.cancel("s1")
    return outbox


async def attempt(
    outbox: OutboxStore, session: aiohttp.ClientSession, web: WebServer, *, form: Format = "standard"
) -> None:
    """One attempt for what is due."""
    receiver = Receiver(f"{web.url}/hooks/?key=a-b", read_webhook_secrets(SECRET) if form == "standard" else (), form)
    assert await WebhookDeliverer(outbox, WebhookSender(session, receiver)).deliver_due() == 1


async def due_again(pool: StorePool) -> float:
    """Lets the next attempt come now; returns in how many seconds it would have come."""
    ((name, at_ms),) = await pool.zrange(keys.outbox(""), 0, -1, withscores=True)
    seconds, _ = await pool.time()
    await pool.zadd(keys.outbox(""), {name: 1})
    return float(at_ms) / 1000 - int(seconds)


async def test_an_accepted_event_is_signed_and_leaves_the_outbox(
    outbox: OutboxStore, session: aiohttp.ClientSession
) -> None:
    async with serving(answer(204)) as web:
        await attempt(outbox, session, web)
    (request,) = web.requests
    assert (request.method, request.target) == ("POST", "/hooks/?key=a-b")
    assert request.headers["content-type"] == "application/json"
    verified = Webhook(SECRET).verify(request.body, dict(request.headers))
    assert (verified["type"], verified["data"]["sync_id"]) == ("sync.cancelled", "s1")
    assert (await outbox.status()).waiting == 0


async def test_an_event_of_another_type_is_removed_unsent(outbox: OutboxStore, session: aiohttp.ClientSession) -> None:
    async with serving(answer(204)) as web:
        sender_of_all = WebhookSender(session, Receiver(web.url, (), "slack"))
        assert await WebhookDeliverer(outbox, sender_of_all, ["sync.failed"]).deliver_due() == 1
    status = await outbox.status()
    assert (web.requests, status.waiting, status.lost, status.delivered_at) == ([], 0, 0, None)


async def test_every_attempt_has_the_same_id_and_its_own_signature(
    outbox: OutboxStore, session: aiohttp.ClientSession, fake_pool: StorePool
) -> None:
    async with serving(answer(500), answer(503, headers={"Retry-After": "600"}), answer(200)) as web:
        await attempt(outbox, session, web)
        assert 3 <= await due_again(fake_pool) <= 8
        await attempt(outbox, session, web)
        assert 599 <= await due_again(fake_pool) <= 602
        await attempt(outbox, session, web)
    assert len({request.headers["webhook-id"] for request in web.requests}) == 1
    assert len({request.body for request in web.requests}) == 1
    for request in web.requests:
        Webhook(SECRET).verify(request.body, dict(request.headers))
    status = await outbox.status()
    assert (status.waiting, status.lost, status.error) == (0, 0, "the receiver answers 503")


LATER = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("reply", "waiting", "lost", "reason"),
    [
        (answer(410), 0, 1, "410"),
        (answer(404), 1, 0, "404"),
        (answer(429, headers={"Retry-After": LATER}), 1, 0, "429"),
        (answer(302, headers={"Location": "http://127.0.0.1:1/"}), 1, 0, "redirects"),
        (answer(200, b"x" * 2_000_000), 1, 0, "larger than"),
        (forever, 1, 0, "no answer within"),
        (b"not HTTP", 1, 0, "broke"),
    ],
    ids=["gone", "not found", "later", "redirect", "large", "hangs", "nonsense"],
)
async def test_what_is_not_accepted_waits_or_is_lost(
    outbox: OutboxStore,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
    reply: Answer,
    waiting: int,
    lost: int,
    reason: str,
) -> None:
    if reply is forever:
        monkeypatch.setattr(sender, "TIMEOUT_S", 0.3)
    async with serving(reply) as web:
        await attempt(outbox, session, web)
    assert len(web.requests) == 1
    status = await outbox.status()
    assert (status.waiting, status.lost) == (waiting, lost)
    assert reason in status.error


async def test_an_event_is_given_up_after_a_day(
    outbox: OutboxStore, session: aiohttp.ClientSession, fake_pool: StorePool
) -> None:
    async with serving(answer(500)) as web:
        await attempt(outbox, session, web)
        (name,) = await fake_pool.zrange(keys.outbox(""), 0, -1)
        seconds, _ = await fake_pool.time()
        began_ms = (int(seconds) - 86_390) * 1000
        await fake_pool.hset(keys.event(name.decode()), mapping={"attempts": "8", "first_at": began_ms})  # type: ignore[misc]
        await due_again(fake_pool)
        await attempt(outbox, session, web)
    status = await outbox.status()
    assert (status.waiting, status.lost) == (0, 1)


async def test_slack_gets_a_text_without_a_signature(outbox: OutboxStore, session: aiohttp.ClientSession) -> None:
    async with serving(answer(200, b"ok")) as web:
        await attempt(outbox, session, web, form="slack")
    assert "Sync cancelled" in json.loads(web.requests[0].body)["text"]
    assert "webhook-signature" not in web.requests[0].headers


async def test_an_event_that_cannot_be_read_is_lost_and_a_newer_one_waits(
    outbox: OutboxStore, session: aiohttp.ClientSession, fake_pool: StorePool
) -> None:
    (name,) = await fake_pool.zrange(keys.outbox(""), 0, -1)
    copied = f"{keys.event(name.decode())}:sync"
    async with serving(answer(200)) as web:
        await fake_pool.hset(copied, "format", "99")  # type: ignore[misc]
        await attempt(outbox, session, web)
        await due_again(fake_pool)
        await fake_pool.hset(copied, mapping={"format": "1", "state": "odd"})  # type: ignore[misc]
        await attempt(outbox, session, web)
    assert web.requests == []
    status = await outbox.status()
    assert (status.waiting, status.lost) == (0, 1)
