"""The types of settings: how the text of an environment variable is read and checked.

No error contains the value, because it may be a secret.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from worker.input_values import (
    rate_reader,
    read_count,
    read_days,
    read_mib,
    read_percent,
    read_seconds,
    read_share,
    read_webhook_secrets,
    read_with,
)
from worker.warehouse_url import WarehouseUrl


def _is_word(text: str) -> bool:
    return bool(text) and all("!" <= character <= "~" for character in text)


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and _is_word(url)
    except ValueError:
        return False


def _base_url(text: str) -> str:
    url = text.strip()
    if not _is_http_url(url):
        raise ValueError("must be an http:// or https:// URL with a host")
    if "@" in urlsplit(url).netloc or "?" in url or "#" in url:
        raise ValueError("must be a URL without a user, a query and a fragment")
    return url.rstrip("/")


def _token(secret: SecretStr) -> SecretStr:
    token = secret.get_secret_value().strip()
    if not _is_word(token):
        raise ValueError("must be the bare token: printable ASCII without spaces")
    return SecretStr(token)


def _webhook_url(secret: SecretStr) -> SecretStr:
    url = secret.get_secret_value().strip()
    if not _is_http_url(url) or "@" in urlsplit(url).netloc or "#" in url:
        raise ValueError("must be an http:// or https:// URL with a host, without a user and a fragment")
    return SecretStr(url)


def _webhook_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    read_webhook_secrets(text)
    return SecretStr(text)


def _warehouse_url(secret: SecretStr) -> SecretStr:
    return SecretStr(WarehouseUrl.parse(secret.get_secret_value().strip()).text)


def _stripped(secret: SecretStr) -> SecretStr:
    return SecretStr(secret.get_secret_value().strip())


def is_unprotected(url: str) -> bool:
    """Returns whether a URL would send a token to another machine without TLS."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return parts.scheme == "http" and not loopback


def _log_level(value: Any) -> Any:
    """Returns a level in capitals, by the name that `logging` has for it."""
    if not isinstance(value, str):
        return value
    level = value.strip().upper()
    return {"WARN": "WARNING", "ERR": "ERROR"}.get(level, level)


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


BaseUrl = Annotated[str, AfterValidator(_base_url)]
Token = Annotated[SecretStr, AfterValidator(_token)]
_Secs = read_with(read_seconds, "a time in seconds", "30 or 2m")
Seconds = Annotated[float, *_Secs, Field(gt=0, le=30 * 86_400, allow_inf_nan=False)]
SecondsOrZero = Annotated[float, *_Secs, Field(ge=0, le=30 * 86_400, allow_inf_nan=False)]
Share = Annotated[float, *read_with(read_share, "a share", "0.5 or 50%"), Field(ge=0, le=1)]
Days = Annotated[float, *read_with(read_days, "a number of days", "7 or 12h")]
Percent = Annotated[float, BeforeValidator(read_percent)]
Count = Annotated[int, BeforeValidator(read_count)]
RatePerSecond = Annotated[float, *read_with(rate_reader(1), "requests a second: a number", "50 or 50/s")]
RatePerMinute = Annotated[int, *read_with(rate_reader(60), "requests a minute: a whole number", "60 or 1/s")]
Mebibytes = Annotated[float, *read_with(read_mib, "a size in MiB", "32 or 32MiB")]
WebhookUrl = Annotated[SecretStr, AfterValidator(_webhook_url)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
WarehouseSecret = Annotated[SecretStr, AfterValidator(_warehouse_url)]
StrippedSecret = Annotated[SecretStr, AfterValidator(_stripped)]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(_log_level)]
LowerCase = BeforeValidator(_lower)
"""Reads a word of a Literal in any case."""
