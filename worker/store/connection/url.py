"""Checks REDIS_URL and makes the connection pool that it describes.

redis-py ignores or misreads many mistakes in a URL, and finds some only when it connects. Here they are found at once.
No message quotes the URL, because it may contain a password, in any part of it if the password is not encoded.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit, urlunsplit

import redis.exceptions as redis_errors
from redis.asyncio import ConnectionPool

from worker.errors import ConfigurationError
from worker.store.connection.connections import use_direct_connections
from worker.store.connection.outage import describe_error

_OPTIONS = {"db", "username", "password", "client_name"}
_TLS_OPTIONS = {
    *("ssl_keyfile", "ssl_certfile", "ssl_cert_reqs", "ssl_ca_certs", "ssl_ca_data"),
    *("ssl_check_hostname", "ssl_ciphers"),
}
_OURS = {
    *("socket_timeout", "socket_connect_timeout", "socket_keepalive", "retry_on_timeout", "health_check_interval"),
    *("decode_responses", "max_connections", "protocol"),
}
_FILES = {"ssl_keyfile", "ssl_certfile", "ssl_ca_certs"}
_CERTIFICATE_RULES = {
    **dict.fromkeys(("none", "0", "false", "no"), "none"),
    **dict.fromkeys(("optional", "1"), "optional"),
    **dict.fromkeys(("required", "2", "true", "yes"), "required"),
}
_ENCODE = "In a user or a password, write / as %2F, ? as %3F and # as %23."


def make_connection_pool(url: str, timeout_s: float) -> ConnectionPool:
    """Makes the pool of connections that a URL describes, without connecting yet.

    Args:
        url: As `REDIS_URL`.
        timeout_s: Seconds within which Redis must answer.

    Raises:
        ConfigurationError: The URL is malformed, or names a file that cannot be read.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError("REDIS_URL is not a URL", hint=_ENCODE) from None
    options = _checked_options(parts)
    try:
        pool = ConnectionPool.from_url(
            _with_redis_py_rules(parts),
            socket_timeout=timeout_s,
            socket_connect_timeout=min(timeout_s, 2.0),
            health_check_interval=30,
            **options,
        )
        use_direct_connections(pool)
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        if parts.scheme == "rediss":
            connection.ssl_context.get()  # reads the files
    except (ValueError, TypeError, OSError, redis_errors.RedisError) as error:
        raise ConfigurationError(f"REDIS_URL cannot be used: {describe_error(error)}") from None
    return pool


def _checked_options(parts: SplitResult) -> dict[str, Any]:
    """Returns the options that the URL does not set. Raises ConfigurationError for what redis-py would misread."""
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise ConfigurationError("REDIS_URL must begin with redis://, rediss:// or unix://")
    if parts.fragment:
        raise ConfigurationError("REDIS_URL has a #", hint=_ENCODE)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    _check_names(given, tls=parts.scheme == "rediss")
    if parts.scheme == "unix":
        if not parts.path:
            raise ConfigurationError(
                "REDIS_URL names no socket", hint="Its form is unix:///PATH/TO/SOCKET?db=DATABASE."
            )
        return {}
    _check_address(parts)
    options: dict[str, Any] = {"socket_keepalive": True}
    if parts.scheme == "rediss" and _certificate_rule(given.get("ssl_cert_reqs", "required")) != "none":
        options["ssl_check_hostname"] = True
    return options


def _certificate_rule(text: str) -> str:
    """Returns redis-py's word for an `ssl_cert_reqs`. Raises ConfigurationError for an unknown one."""
    word = text.strip().lower().removeprefix("ssl.").removeprefix("verifymode.").removeprefix("cert_")
    rule = _CERTIFICATE_RULES.get(word)
    if rule is None:
        raise ConfigurationError("REDIS_URL sets an ssl_cert_reqs that is not one of required, optional and none")
    return rule


def _with_redis_py_rules(parts: SplitResult) -> str:
    """Returns the URL with redis-py's word for `ssl_cert_reqs`."""
    if "ssl_cert_reqs" not in parts.query:
        return urlunsplit(parts)
    given = parse_qsl(parts.query, keep_blank_values=True)
    query = [(name, _certificate_rule(value) if name == "ssl_cert_reqs" else value) for name, value in given]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _check_names(given: dict[str, str], *, tls: bool) -> None:
    for name in given:
        if name in _OURS:
            raise ConfigurationError(
                f"REDIS_URL sets {name}, which this program sets itself", hint=f"Leave {name} out of the URL."
            )
        if name in _TLS_OPTIONS and not tls:
            raise ConfigurationError(
                f"REDIS_URL sets {name} without TLS", hint="For TLS, write rediss:// instead of redis://."
            )
        if name not in _OPTIONS | _TLS_OPTIONS:
            raise ConfigurationError("REDIS_URL has an option that is not known", hint=_ENCODE)
    if ("ssl_keyfile" in given) != ("ssl_certfile" in given):
        raise ConfigurationError("REDIS_URL needs ssl_keyfile and ssl_certfile together")
    _certificate_rule(given.get("ssl_cert_reqs", "required"))
    for name in sorted(_FILES & given.keys()):
        try:
            with open(given[name], "rb"):
                pass
        except OSError as error:
            raise ConfigurationError(f"REDIS_URL sets {name}={given[name]}: {error.strerror}") from None
    if not given.get("db", "0").isdecimal():
        raise ConfigurationError("REDIS_URL sets a db that is not a number")


def _check_address(parts: SplitResult) -> None:
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError("REDIS_URL has a port that is not a number", hint=_ENCODE) from None
    if not parts.hostname or port == 0:
        raise ConfigurationError("REDIS_URL names no host", hint=f"Its form is redis://HOST:PORT/DATABASE. {_ENCODE}")
    database = parts.path.strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ConfigurationError("REDIS_URL ends in a database that is not a number", hint=_ENCODE)
