"""Signatures of webhooks by the Standard Webhooks scheme, version 1 (HMAC-SHA256). Pure."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence


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
