"""Sends one request to an API, with bounds on everything that a server can do.

The worker shares one session. This client adds the base URL, the credentials, time-outs, a limit on the decompressed
body, and redirects that never leave the host, because the credentials would go with them. A proxy is taken from the
usual environment variables. The API clients interpret the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import urllib.request
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import aiohttp
import orjson
from yarl import URL

from worker.http.decompression import Gunzip, Inflate
from worker.http.errors import CHECK_URL, TransportError, connection_error, refused_by_proxy
from worker.http.guarded_body import GuardedBody
from worker.http.rate_limit_headers import read_allowance
from worker.models.allowance import Allowance
from worker.secret_masking import byte_masker, mask_bytes

MAX_REDIRECTS = 3
_CHUNK = 1 << 16
_TOO_LONG = re.compile(r"Got more than \d+ bytes|Header value is too long", re.IGNORECASE)
"""How aiohttp says that a header, or the line of the status, is too long."""
_ENCODING = re.compile(r"[a-z][a-z0-9-]{0,19}(, ?[a-z][a-z0-9-]{0,19}){0,2}")


@dataclass(frozen=True)
class HttpLimits:
    """Bounds of one request: seconds to connect, seconds in all, and bytes of the body, decompressed."""

    connect_s: float
    total_s: float
    body_bytes: int


@dataclass(frozen=True)
class Reply:
    """An answer with its whole body. Header names are case-insensitive."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        """The API's id of the request, for its support; printable ASCII, at most 100 characters."""
        text = self.headers.get("Request-Id") or self.headers.get("X-Request-Id") or ""
        return "".join(character for character in text if "!" <= character <= "~")[:100] or None


def new_session() -> aiohttp.ClientSession:
    """Makes the session of a worker. `HttpClient` decompresses bodies, not aiohttp, so that their size stays bounded.

    aiohttp's `trust_env` stays off, because it would read `.netrc` before each request and could fail on its content.
    """
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
    )


def _credentials(authorization: str) -> Iterator[str]:
    """Yields the secrets in a header `Authorization`."""
    scheme, _, value = authorization.partition(" ")
    yield value
    if scheme == "Basic":
        with contextlib.suppress(ValueError):
            user, _, password = b64decode(value).decode().partition(":")
            yield user
            yield password


OnAllowance = Callable[[Allowance], None]
"""Called with the API's rate limit when an answer states it."""

OnAnswer = Callable[[str, float], None]
"""Called after each request with its status (`none` if no usable answer came, `not_sent` if it was not sent), and the
seconds that it took."""


class HttpClient:
    """Sends requests to one base URL with one set of credentials.

    Args:
        session: The worker's session.
        base_url: Base URL; paths are appended to it.
        headers: Headers of every request, with the credentials.
        limits: Time-outs and the largest body.
        on_allowance: Called with the rate limit that an answer states.
        on_answer: Called after each request, for metrics.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        headers: Mapping[str, str],
        limits: HttpLimits,
        *,
        on_allowance: OnAllowance | None = None,
        on_answer: OnAnswer | None = None,
    ) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip", **headers}
        self._limits = limits
        self._mask_own = byte_masker(_credentials(headers.get("Authorization", "")))
        self._on_allowance = on_allowance
        self._on_answer = on_answer
        self._timeout = aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s)

    @cached_property
    def _proxy(self) -> tuple[URL | None, str]:
        """As `_find_proxy`; found at the first request, because a sync makes clients that it may not use."""
        return _find_proxy(URL(self._base))

    @property
    def host(self) -> str:
        """The host of the base URL."""
        return URL(self._base).host or ""

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        permit: Callable[[], bool] | None = None,
        on_connected: Callable[[], Awaitable[None]] | None = None,
    ) -> Reply:
        """Sends one request and reads its whole answer.

        Args:
            method: HTTP method.
            path: Below the base URL.
            params: Of the query.
            json: The body, as a document.
            body: The body, as JSON that is sent byte by byte; instead of `json`.
            permit: Asked in the last moment, when the connection is made and the body is about to go out; if it says
                no, the body is not sent.
            on_connected: Awaited on that connection before `permit` is asked, however long the connection took. What
                it raises is raised here, and the body is not sent.

        Raises:
            TransportError: No usable answer came. Before the body was sent, `maybe_done` is False.
            NotPermitted: `permit` said no.
        """
        _, malformed = self._proxy
        if malformed:
            hint = f"Set {malformed} to http://host:port."
            problem = f"{malformed} is not the URL of an HTTP proxy"
            raise TransportError(problem, maybe_done=False, lasting=True, hint=hint)
        url = URL(self._base + path).with_query(params) if params else URL(self._base + path)
        if json is not None:
            body = orjson.dumps(json)
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        guarded_body = GuardedBody(body or b"", permit, on_connected) if permit else None
        if guarded_body:
            headers = {**headers, "Content-Length": str(len(guarded_body.body))}
        began_at, status = time.monotonic(), "none"
        try:
            reply = await self._exchange(method, url, guarded_body.send() if guarded_body else body, headers)
            status = str(reply.status)
        except TransportError as error:
            if guarded_body is None or guarded_body.sent:
                raise
            status = "not_sent"
            if guarded_body.error is not None:
                raise guarded_body.error from None
            raise TransportError(str(error), maybe_done=False, lasting=error.lasting, hint=error.hint) from None
        else:
            return reply
        finally:
            if guarded_body:
                guarded_body.close()
            if self._on_answer:
                self._on_answer(status, time.monotonic() - began_at)

    def _note_limit(self, headers: Mapping[str, str]) -> None:
        if self._on_allowance and ("X-RateLimit-Limit" in headers or "X-RateLimit-Remaining" in headers):
            self._on_allowance(read_allowance(headers, time.time()))

    async def _exchange(
        self, method: str, url: URL, data: bytes | AsyncIterator[bytes] | None, headers: Mapping[str, str]
    ) -> Reply:
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._session.request(
                    method,
                    url,
                    data=data,
                    headers=headers,
                    timeout=self._timeout,
                    proxy=self._proxy[0],
                    allow_redirects=False,
                ) as response:
                    self._note_limit(response.headers)
                    if response.status == 407:
                        raise refused_by_proxy(407)
                    if response.status not in {301, 302, 303, 307, 308}:
                        # An API can only repeat what it was sent; an error may be of another machine on the way.
                        masked = mask_bytes if response.status >= 400 else self._mask_own
                        return Reply(response.status, response.headers, masked(await self._body(response)))
                    url = self._redirect(method, url, response.headers.get("Location", ""))
        except aiohttp.ConnectionTimeoutError:
            raise TransportError(f"no connection within {self._limits.connect_s:g} s", maybe_done=False) from None
        except aiohttp.ClientConnectorError as error:
            raise connection_error(error) from None
        except aiohttp.ClientHttpProxyError as error:
            raise refused_by_proxy(error.status) from None
        except TimeoutError:
            raise TransportError(f"no answer within {self._limits.total_s:g} s", maybe_done=True) from None
        except aiohttp.ClientResponseError as error:
            if not _TOO_LONG.match(error.message):
                raise TransportError(f"the connection broke: {type(error).__name__}", maybe_done=True) from None
            raise TransportError("the headers of the answer are too large", maybe_done=True, lasting=True) from None
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise TransportError(f"the connection broke: {type(error).__name__}", maybe_done=True) from None
        problem = f"more than {MAX_REDIRECTS} redirects"
        raise TransportError(problem, maybe_done=False, lasting=True, hint=CHECK_URL)

    @staticmethod
    def _redirect(method: str, url: URL, location: str) -> URL:
        if method != "GET":
            # It may have been carried out before the redirect was answered.
            problem = f"the API redirects a {method}"
            raise TransportError(problem, maybe_done=True, lasting=True, hint=CHECK_URL)
        try:
            target = url.join(URL(location)).with_user(None)
            origin = target.origin()
        except ValueError:
            problem, hint = "the API redirects to something that is not a URL", CHECK_URL
        else:
            if origin == url.origin():
                return target
            where = str(origin)[:100]
            if origin.host == url.host and origin.scheme != url.scheme:
                problem, hint = f"the API redirects to {where}", f"Begin the base URL with {where}."
            else:
                problem = f"the API redirects to another host, {where}, and credentials are not sent there"
                hint = CHECK_URL
        raise TransportError(problem, maybe_done=False, lasting=True, hint=hint)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        try:
            return await self._read(response)
        except (TransportError, aiohttp.ClientError, TimeoutError):
            if response.status < 400:
                raise
            return b""  # an error status is still an error if its body cannot be read

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            named = f" {encoding}" if _ENCODING.fullmatch(encoding) else ""
            raise TransportError(
                f"the answer has a content encoding that is not read{named}; gzip was asked for",
                maybe_done=True,
                lasting=True,
            )
        if (response.content_length or 0) > self._limits.body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size, received = 0, 0
        unpack = {"": None, "identity": None, "deflate": Inflate()}.get(encoding, Gunzip())
        async for chunk in response.content.iter_chunked(_CHUNK):
            received += len(chunk)
            parts.append(unpack.feed(chunk, self._limits.body_bytes + 1 - size) if unpack else chunk)
            size += len(parts[-1])
            if max(received, size) > self._limits.body_bytes:
                raise self._too_large()
        if unpack and received and not unpack.complete:
            raise TransportError("the compressed body ends too early", maybe_done=True)
        return b"".join(parts)

    def _too_large(self) -> TransportError:
        return TransportError(
            f"the body is larger than {self._limits.body_bytes / (1 << 20):g} MiB (MAX_BODY_MB)", maybe_done=True
        )


def _find_proxy(url: URL) -> tuple[URL | None, str]:
    """Returns the proxy that the environment names for this URL, or the name of the variable that is malformed.

    Nothing of a malformed proxy is shown: it may hold a password.
    """
    found = urllib.request.getproxies().get(url.scheme)
    if not found or urllib.request.proxy_bypass(url.host or ""):
        return None, ""
    try:
        proxy = URL(found if "://" in found else f"http://{found}")
        usable = proxy.scheme in {"http", "https"} and bool(proxy.host) and proxy.port is not None
    except ValueError:
        usable = False
    if usable:
        return proxy, ""
    return None, f"{url.scheme.upper()}_PROXY"
