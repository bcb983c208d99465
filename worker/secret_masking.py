"""Masks the secrets of this process in texts that other programs wrote, before they are shown or stored.

An API, a proxy or Redis may repeat a token in an answer. Settings register their secrets here. The HTTP client masks
every answer, and every error of this program masks its message, so that no secret reaches a log, a note or Redis.
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import quote

MASK = "[secret]"
SHORTEST = 8
"""Characters. A shorter secret is not masked, because it may be a part of common words."""

_known: set[str] = set()
_texts: re.Pattern[str] | None = None
_bytes: re.Pattern[bytes] | None = None


def keep_secret(secret: str) -> None:
    """Registers a secret of this process, with the forms in which HTTP and JSON write it."""
    global _texts, _bytes
    if len(secret) < SHORTEST or secret in _known:
        return
    basic = b64encode(f"{secret}:".encode()).decode()
    _known.update({secret, quote(secret, safe=""), secret.replace("/", "\\/"), basic, basic.rstrip("=")})
    longest_first = sorted(_known, key=len, reverse=True)
    _texts = re.compile("|".join(map(re.escape, longest_first)))
    _bytes = re.compile(b"|".join(re.escape(known.encode()) for known in longest_first))


def mask(text: str) -> str:
    """Returns the text with every registered secret replaced by `MASK`."""
    return _texts.sub(MASK, text) if _texts else text


def mask_bytes(body: bytes) -> bytes:
    """Returns the body with every registered secret replaced by `MASK`."""
    return _bytes.sub(MASK.encode(), body) if _bytes else body
