"""The name of a Mavera account in the keys of Redis. Pure.

It is the kind of its API key with a digest of its base URL, or with the name that `SPACES_FILE` gives it.
"""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LOOPBACK = {"localhost", "::1"}


def account_name(base_url: str, api_key: str) -> str:
    """Returns the name of an account, such as `live-0f12…`.

    All spellings of one URL have one name, so that workers with different spellings know each other's personas.

    Args:
        base_url: Base URL of Mavera.
        api_key: API key; only its kind (live or test) is used.
    """
    return _account_name(normal_url(base_url), api_key)


def file_account_name(name: str, api_key: str) -> str:
    """Returns the name of an account that `SPACES_FILE` names, such as `live.emea`.

    Another key of the same kind, or another base URL, does not change it.

    Args:
        name: In the file.
        api_key: API key; only its kind (live or test) is used.
    """
    return f"{_kind(api_key)}.{name}"


def former_account_name(base_url: str, api_key: str) -> str:
    """Returns the name that earlier versions gave the account, or an empty text if it is the same name.

    They used the URL without normalising it. The arguments are those of `account_name`.
    """
    former = _account_name(base_url, api_key)
    return "" if former == account_name(base_url, api_key) else former


def normal_url(base_url: str) -> str:
    """Returns the normal form of a base URL: scheme and host in lower case, no default port, no empty path segments.

    The names of this machine (`localhost`, `::1`) become 127.0.0.1.
    """
    parts = urlsplit(base_url)
    host = (parts.hostname or "").rstrip(".")
    host = "127.0.0.1" if host in _LOOPBACK else f"[{host}]" if ":" in host else host
    port = "" if parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{re.sub('/+', '/', parts.path).rstrip('/')}"


def _account_name(url: str, api_key: str) -> str:
    return f"{_kind(api_key)}-{hashlib.blake2b(url.encode(), digest_size=6).hexdigest()}"


def _kind(api_key: str) -> str:
    return "test" if api_key.startswith("mvra_test_") else "live"
