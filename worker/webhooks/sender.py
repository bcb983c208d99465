"""Sends one event to the receiver, and interprets the answer."""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import aiohttp
from yarl import URL

from worker.http.client import HttpClient, HttpLimits
from worker.http.errors import TransportError
from worker.http.rate_limit_headers import retry_after_s
from worker.webhooks.event import Event
from worker.webhooks.slack_text import slack_body

TIMEOUT_S = 15.0
"""Seconds that the receiver has to answer."""

_BODY_BYTES = 1 << 20
_GONE = 410

Format = Literal["standard", "slack"]


@dataclass(frozen=True)
class Receiver:
    """The receiver of events.

    Attributes:
        secrets: The keys of the signature, as `read_webhook_secrets` returns them.
    """

    url: str
    secrets: Sequence[bytes]
    format: Format


@dataclass(frozen=True)
class Delivery:
    """The result of an attempt.

    Attributes:
        verdict: `delivered`; `failed`, so that it is tried again; or `refused`: the receiver never wants it.
        reason: Why it was not delivered, in a phrase.
        retry_after_s: Seconds after which the receiver wants the next attempt; None if it names none.
    """

    verdict: Literal["delivered", "failed", "refused"]
    reason: str = ""
    retry_after_s: float | None = None


class WebhookSender:
    """Sends events.

    Args:
        clock: Unix seconds.
    """

    def __init__(
        self, session: aiohttp.ClientSession, receiver: Receiver, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._session = session
        self._receiver = receiver
        self._clock = clock

    async def send(self, event: Event) -> Delivery:
        """Makes one attempt. A redirect is not followed, because another host may be behind it."""
        body = slack_body(event) if self._receiver.format == "slack" else event.body()
        url = URL(self._receiver.url)
        headers = signed_headers(self._receiver.secrets, event.id, int(self._clock()), body)
        limits = HttpLimits(min(10.0, TIMEOUT_S), TIMEOUT_S, _BODY_BYTES)
        http = HttpClient(self._session, str(url.origin()), headers, limits)
        try:
            reply = await http.request("POST", url.raw_path_qs, body=body)
        except TransportError as error:
            return Delivery("failed", str(error))
        if 200 <= reply.status < 300:
            return Delivery("delivered")
        wait_s = retry_after_s(reply.headers, self._clock())
        verdict: Literal["failed", "refused"] = "refused" if reply.status == _GONE else "failed"
        return Delivery(verdict, f"the receiver answers {reply.status}", wait_s)


def signed_headers(secrets: Sequence[bytes], event_id: str, sent_at: int, body: bytes) -> dict[str, str]:
    """Returns the headers of one attempt. Each secret gives a signature, so that a receiver can change its own at any
    time.

    Args:
        secrets: As `read_webhook_secrets` returns them; none: only id and time are stated.
        event_id: The same in every attempt.
        sent_at: When this attempt is made, in Unix seconds.
        body: What is sent.
    """
    headers = {"webhook-id": event_id, "webhook-timestamp": str(sent_at)}
    if secrets:
        content = f"{event_id}.{sent_at}.".encode() + body
        digests = (hmac.new(secret, content, hashlib.sha256).digest() for secret in secrets)
        headers["webhook-signature"] = " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)
    return headers
