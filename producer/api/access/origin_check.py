"""Protects a server on this machine from web pages: checks the `Host` and `Origin` headers of requests.

Without tokens, every client of the port may use the API. A web page can reach it in two ways: by its own host name
that resolves to 127.0.0.1 (DNS rebinding; then `Host` names it), and by a request across origins (then `Origin` names
it).
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web

from producer.api.config import is_loopback
from producer.api.problems import Problem

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def check_host(request: web.Request, own_host: str) -> None:
    """Raises Problem unless the request names this machine.

    Args:
        request: The request.
        own_host: The address that the server listens on.
    """
    found = _host_of(request.headers.get("Host", ""))
    if found is None or not (is_loopback(found[0]) or found[0] == own_host.lower().strip("[]")):
        raise Problem(
            "wrong_host",
            "The Host header does not name this machine.",
            hint="Use http://127.0.0.1 or http://localhost. Other names need API_TOKENS_FILE.",
        )


def check_origin(request: web.Request) -> None:
    """Raises Problem if a browser sent the request for a page of another origin."""
    origin = request.headers.get("Origin")
    if origin is not None:
        same = _host_of(origin.partition("://")[2])
        allowed = same is not None and same == _host_of(request.headers.get("Host", ""))
    else:
        allowed = request.method in _SAFE_METHODS or request.headers.get("Sec-Fetch-Site", "none") in {
            "none",
            "same-origin",
        }
    if not allowed:
        raise Problem("cross_origin", "A web page of another origin may not use this API.")


def _host_of(text: str) -> tuple[str, str] | None:
    """Host and port of `host`, `host:port` or `[address]:port`; None if it is none of these."""
    try:
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.netloc != text or "@" in text:
            return None
        port = parts.port
    except ValueError:
        return None
    return parts.hostname, "" if port in (None, 80, 443) else str(port)
