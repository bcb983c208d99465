"""What a receiver of webhooks does: it verifies the signature of each request with another implementation than ours."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.support.servers.web_server import WebServer

SECRET = f"whsec_{b64encode(bytes([2]) * 32).decode()}"


def verified_events(web: WebServer) -> list[dict[str, Any]]:
    """The events of all requests. Raises WebhookVerificationError if one is not signed with `SECRET`."""
    return [Webhook(SECRET).verify(request.body, dict(request.headers)) for request in web.requests]
