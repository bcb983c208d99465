"""Signatures of webhooks, verified by the `standardwebhooks` package as a receiver does it."""

from __future__ import annotations

import json
import time
from base64 import b64encode

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from worker.input_values import read_webhook_secrets
from worker.webhooks.sender import signed_headers

OLD, NEW, OTHER = (f"whsec_{b64encode(bytes([number]) * 32).decode()}" for number in (1, 2, 3))
BODY = json.dumps({"type": "sync.completed", "data": {"text": "Größe"}}, ensure_ascii=False).encode()


def headers(secrets: str, body: bytes = BODY, sent_at: float | None = None) -> dict[str, str]:
    return signed_headers(read_webhook_secrets(secrets), "evt_1", int(sent_at or time.time()), body)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_a_receiver_accepts_either_secret_during_a_change(secret: str) -> None:
    verified = Webhook(secret).verify(BODY, headers(f"{NEW} {OLD}"))
    assert verified["type"] == "sync.completed"


@pytest.mark.parametrize(
    ("secret", "body", "sent_at"),
    [(OTHER, BODY, None), (OLD, BODY + b" ", None), (OLD, BODY, time.time() - 3600)],
    ids=["secret", "body", "time"],
)
def test_a_receiver_refuses_what_was_changed_or_is_old(secret: str, body: bytes, sent_at: float | None) -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers(OLD, sent_at=sent_at))


def test_without_a_secret_only_id_and_time_are_stated() -> None:
    assert signed_headers((), "evt_1", 5, BODY) == {"webhook-id": "evt_1", "webhook-timestamp": "5"}


@pytest.mark.parametrize(
    "text",
    ["", "secret", OLD.removeprefix("whsec_"), "whsec_!!!!", "whsec_" + b64encode(b"short").decode(), f"{OLD} whsec_"],
)
def test_a_malformed_secret_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(ValueError, match="must be whsec_") as caught:
        read_webhook_secrets(text)
    assert not text or text not in str(caught.value)


def test_a_secret_may_lack_its_padding() -> None:
    assert read_webhook_secrets(OLD.rstrip("=")) == (bytes([1]) * 32,)
