"""One request to an API, with everything that a stranger's server may do to us bounded.

The session is the worker's own and shared; this adds the base URL, the credentials, the time-outs, a bound on the
decompressed body, and redirects that never leave the host, since the credentials would go with them. What the answer
means is the API clients' business.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
from yarl import URL

from worker.errors import PersonasError

MAX_REDIRECTS = 3
_CHUNK = 1 << 16


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
        """What the API's support asks for."""
        return (self.headers.get("Request-Id") or self.headers.get("X-Request-Id") or "")[:100] or None


class TransportError(PersonasError):
    """No usable answer came. maybe_done: whether the server may have carried the request out all the same."""

    def __init__(self, message: str, *, maybe_done: bool) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done


def new_session() -> aiohttp.ClientSession:
    """The one session of a worker. Bodies are decompressed here, not by aiohttp, so that a bomb stays small."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
        trust_env=True,
    )


class HttpClient:
    """Requests to one base URL with one set of credentials."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, headers: Mapping[str, str], limits: HttpLimits
    ) -> None:
        self._session = session
        self._base = base_url.rstrip("/")
        self._headers = {"Accept": "application/json", "Accept-Encoding": "gzip, deflate", **headers}
        self._limits = limits
        self._timeout = aiohttp.ClientTimeout(total=limits.total_s, sock_connect=limits.connect_s)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
    ) -> Reply:
        """Sends one request and reads its whole answer. Raises TransportError if there is none."""
        url = URL(self._base + path).with_query(params) if params else URL(self._base + path)
        body = None if json is None else orjson.dumps(json)
        headers = self._headers if body is None else {**self._headers, "Content-Type": "application/json"}
        try:
            for _ in range(MAX_REDIRECTS + 1):
                async with self._session.request(
                    method, url, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
                ) as response:
                    if response.status not in {301, 302, 303, 307, 308}:
                        return Reply(response.status, response.headers, await self._read(response))
                    url = self._redirect(method, url, response.headers.get("Location", ""))
        except aiohttp.ClientConnectorError as error:
            raise TransportError(f"cannot connect: {_brief(error)}", maybe_done=False) from None
        except TimeoutError:
            raise TransportError(f"no answer within {self._limits.total_s:g} s", maybe_done=True) from None
        except (aiohttp.ClientError, asyncio.IncompleteReadError, OSError, ValueError) as error:
            raise TransportError(f"the connection broke: {type(error).__name__}", maybe_done=True) from None
        raise TransportError(f"more than {MAX_REDIRECTS} redirects", maybe_done=False)

    @staticmethod
    def _redirect(method: str, url: URL, location: str) -> URL:
        if method != "GET":
            raise TransportError(f"the API redirects a {method}; check the base URL", maybe_done=True)
        try:
            target = url.join(URL(location))
        except ValueError:
            raise TransportError("the API redirects to something that is no URL", maybe_done=False) from None
        if target.origin() != url.origin():
            raise TransportError(
                f"the API redirects to another host, {target.host}; credentials stay home, check the base URL",
                maybe_done=False,
            )
        return target

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        limit = self._limits.body_bytes
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding in {"", "identity"}:
            if (response.content_length or 0) > limit:
                raise self._too_large()
            chunks, size = [], 0
            async for chunk in response.content.iter_chunked(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise self._too_large()
                chunks.append(chunk)
            return b"".join(chunks)
        if encoding not in {"gzip", "deflate"}:
            raise TransportError(f"the body is encoded as {encoding[:20]!r}, which was not asked for", maybe_done=True)
        return await self._decompress(response, limit)

    async def _decompress(self, response: aiohttp.ClientResponse, limit: int) -> bytes:
        inflate, out = zlib.decompressobj(wbits=47), bytearray()
        try:
            async for chunk in response.content.iter_chunked(_CHUNK):
                out += inflate.decompress(chunk, limit + 1 - len(out))
                if len(out) > limit:
                    raise self._too_large()
        except zlib.error:
            raise TransportError("the compressed body is broken", maybe_done=True) from None
        if not inflate.eof:
            raise TransportError("the compressed body ends too early", maybe_done=True)
        return bytes(out)

    def _too_large(self) -> TransportError:
        return TransportError(
            f"the body is larger than {self._limits.body_bytes >> 20} MiB (MAX_BODY_MB)", maybe_done=True
        )


def _brief(error: aiohttp.ClientConnectorError) -> str:
    return f"{error.host}:{error.port} ({error.os_error.strerror or type(error.os_error).__name__})"
