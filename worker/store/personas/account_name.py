"""The name of a Mavera account in keys: a digest of where Mavera is and of the kind of key."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = {"localhost", "::1"}


def account_name(base_url: str, api_key: str) -> str:
    """The account's name in keys: a digest of where Mavera is, and whether the key is a live or a test one.

    Spellings of one URL have one name, so that workers that are configured differently know each other's personas.
    """
    return _account_name(normal_url(base_url), api_key)


def former_account_name(base_url: str, api_key: str) -> str:
    """The name that earlier versions gave the account: of the URL as it is spelled. Empty if it is the same."""
    former = _account_name(base_url, api_key)
    return "" if former == account_name(base_url, api_key) else former


def normal_url(base_url: str) -> str:
    """One spelling of a base URL: scheme and host in lower case, no default port, no empty parts of the path.

    The names of this machine (`localhost`, `::1`) become 127.0.0.1.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    host = "127.0.0.1" if host in _LOOPBACK else f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{re.sub('/+', '/', parts.path).rstrip('/')}"


def _account_name(url: str, api_key: str) -> str:
    kind = "test" if api_key.startswith("mvra_test_") else "live"
    return f"{kind}-{hashlib.blake2b(url.encode(), digest_size=6).hexdigest()}"
