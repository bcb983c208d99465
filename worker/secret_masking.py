"""Masks the secrets of this process in texts that other programs wrote, before they are shown or stored.

An API, a proxy or Redis may repeat a token in an answer. Settings register their secrets here, with a spaces file
thousands of them. The HTTP client masks every answer, and every error of this program masks its message, so that no
secret reaches a log, a note or Redis.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable
from itertools import groupby
from urllib.parse import quote

MASK = "[secret]"
SHORTEST = 8
"""Characters. A shorter secret is not masked, because it may be a part of common words."""

_known: set[str] = set()
_texts: re.Pattern[str] | None = None
_bytes: re.Pattern[bytes] | None = None
"""Patterns of the known secrets, made when they are first needed."""


def keep_secret(secret: str) -> None:
    """Registers a secret of this process, with the forms in which HTTP and JSON write it."""
    global _texts, _bytes
    if len(secret) < SHORTEST or secret in _known:
        return
    _known.update(_forms(secret))
    _texts = _bytes = None


def mask(text: str) -> str:
    """Returns the text with every registered secret replaced by `MASK`."""
    global _texts
    if not _known:
        return text
    if _texts is None:
        _texts = re.compile(_pattern(_known))
    return _texts.sub(MASK, text)


def mask_bytes(body: bytes) -> bytes:
    """Returns the body with every registered secret replaced by `MASK`."""
    global _bytes
    if not _known:
        return body
    if _bytes is None:
        _bytes = re.compile(_pattern(_known).encode())
    return _bytes.sub(MASK.encode(), body)


def byte_masker(secrets: Iterable[str]) -> Callable[[bytes], bytes]:
    """Returns a function that masks only `secrets`, which takes less time than `mask_bytes` if many are known."""
    forms = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    if not forms:
        return lambda body: body
    pattern = re.compile(_pattern(forms).encode())
    return lambda body: pattern.sub(MASK.encode(), body)


def _forms(secret: str) -> set[str]:
    basic = b64encode(f"{secret}:".encode()).decode()
    return {secret, quote(secret, safe=""), secret.replace("/", "\\/"), basic, basic.rstrip("=")}


def _pattern(secrets: Iterable[str]) -> str:
    """Returns a regular expression of the secrets, the longer ones first.

    They are grouped by their first two characters, because `re` tries the branches of an alternation one by one.
    """
    branches = []
    for first, of_first in groupby(sorted(secrets), key=lambda secret: secret[0]):
        pairs = []
        for second, of_both in groupby(of_first, key=lambda secret: secret[1]):
            rests = sorted((secret[2:] for secret in of_both), key=len, reverse=True)
            pairs.append(f"{re.escape(second)}(?:{'|'.join(map(re.escape, rests))})")
        branches.append(f"{re.escape(first)}(?:{'|'.join(pairs)})")
    return "|".join(branches)
