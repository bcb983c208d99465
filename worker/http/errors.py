"""Failures of a request without a usable answer: `TransportError`, and what each failure to connect means.

PersonasError
└ TransportError        no usable answer; `maybe_done`, `lasting`
  └ NotPermitted        the body was not sent, because its permission had ended
"""

from __future__ import annotations

import socket
import ssl

import aiohttp

from worker.errors import PersonasError

CHECK_URL = "Check the base URL."

_NO_SUCH_HOST = {getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA") if hasattr(socket, name)}
"""What a resolver answers for a name that does not exist; a resolver that cannot be reached has another code."""
_NO_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "UNSUPPORTED_PROTOCOL", "HTTPS_PROXY_REQUEST"}
"""Reasons of a failed handshake with a server that cannot speak TLS with us."""


class TransportError(PersonasError):
    """No usable answer came.

    Attributes:
        maybe_done: Whether the server may have carried out the request.
        lasting: Whether the same request cannot succeed until a setting or a server is changed.
    """

    def __init__(self, message: str, *, maybe_done: bool, lasting: bool = False, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.maybe_done = maybe_done
        self.lasting = lasting


class NotPermitted(TransportError):
    """The permission to send ran out before the body was sent; the server has carried nothing out."""

    def __init__(self) -> None:
        super().__init__("the permission to send ran out before the request was sent", maybe_done=False)


def refused_by_proxy(status: int) -> TransportError:
    """Turns a proxy's own answer into an error. Nothing was sent to the API. A 5xx may be transient."""
    lasting = 400 <= status < 500 and status not in {408, 429}
    hint = "Check HTTP_PROXY and HTTPS_PROXY, with the proxy's user and password." if lasting else ""
    return TransportError(f"the proxy answers {status}", maybe_done=False, lasting=lasting, hint=hint)


def connection_error(error: aiohttp.ClientConnectorError) -> TransportError:
    """Turns a failure to connect into an error. It is lasting if the same request cannot succeed later."""
    where = f"{error.host}:{error.port}"
    cause = error.os_error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        reason = getattr(error.certificate_error, "verify_message", "") or "it is not trusted"
        text = f"the certificate of {where} is refused ({reason})"
        return TransportError(text, maybe_done=False, lasting=True, hint="Check the host and SSL_CERT_FILE.")
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        reason = getattr(cause, "reason", None) or type(cause).__name__
        lasting = isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS
        text = f"cannot connect: {where} does not speak TLS as expected ({reason})"
        return TransportError(text, maybe_done=False, lasting=lasting, hint=CHECK_URL if lasting else "")
    if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_HOST:
        text = f"cannot connect: the host {error.host} does not exist"
        return TransportError(text, maybe_done=False, lasting=True, hint="Check the base URL and the proxy.")
    proxy = "the proxy " if isinstance(error, aiohttp.ClientProxyConnectionError) else ""
    reason = cause.strerror or type(cause).__name__
    hint = "Check the base URL, and that a firewall or proxy lets this host connect to it."
    return TransportError(f"cannot connect: {proxy}{where} ({reason})", maybe_done=False, hint=hint)
