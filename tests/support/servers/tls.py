"""Certificates for tests that speak TLS on this machine, and a front that adds TLS to a server that has none.

Both keys were made for this file and open nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HERE_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBpzCCAU2gAwIBAgIUBm1VtYnQh3s0ORaW4ggHf4E8uRgwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcGVyc29uYXMudGVzdDAgFw0yNjExMjQxNDI3NDhaGA8yMTI2
MTAzMTE0Mjc0OFowGDEWMBQGA1UEAwwNcGVyc29uYXMudGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABKhKaOIyk+exHFWcGtFPQmtg8K295PbGRKvEx3rMmOJa
uHYqtUxwgHIlI3CjFwKB2A2NEK8S7mqXawQPl/e8dWCjczBxMB0GA1UdDgQWBBSE
c+dvhLLnwq5GRqS6IEIOncSijDAfBgNVHSMEGDAWgBSEc+dvhLLnwq5GRqS6IEIO
ncSijDAPBgNVHRMBAf8EBTADAQH/MB4GA1UdEQQXMBWCDXBlcnNvbmFzLnRlc3SH
BH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAJc1M+QfQN0gq3ol0+z4Ycj1lN5UeQ8r
daKqcxBK+++pAiBOlRq7HPcsxRk8FVPw2avq0VBAr65IuzZlUiueCj3KmA==
-----END CERTIFICATE-----
"""
HERE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg/YGcEoMysDzIR47f
s/X9mb68M2jCpW+dd9OSy3Vx74ihRANCAASoSmjiMpPnsRxVnBrRT0JrYPCtveT2
xkSrxMd6zJjiWrh2KrVMcIByJSNwoxcCgdgNjRCvEu5ql2sED5f3vHVg
-----END PRIVATE KEY-----
"""
ELSEWHERE_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBpDCCAUqgAwIBAgIUTUTGbT83xk0JdkOl85IN8Ug3Tt8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOZWxzZXdoZXJlLnRlc3QwIBcNMjYxMTI0MTQyNzQ4WhgPMjEy
NjEwMzExNDI3NDhaMBkxFzAVBgNVBAMMDmVsc2V3aGVyZS50ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEZDwDR/QEu6ZGkSFY5nLmdJkQj9mXC+eKRT8Bsk8f
3ZA/998Qma2CN/xKA1YLSeIpsTHLWYAzYBz07oiZbe87y6NuMGwwHQYDVR0OBBYE
FMzU+Od0zhSC2hUmt7WMZlWa/qabMB8GA1UdIwQYMBaAFMzU+Od0zhSC2hUmt7WM
ZlWa/qabMA8GA1UdEwEB/wQFMAMBAf8wGQYDVR0RBBIwEIIOZWxzZXdoZXJlLnRl
c3QwCgYIKoZIzj0EAwIDSAAwRQIhAPLAuzvDSl7hyeiMBzs4tEc1I+86V6dUoFwx
6K+7xdBtAiB20gs3excq4SkrdbdTLeXeeIHzARbzSlzz5OcqYUKhIw==
-----END CERTIFICATE-----
"""
ELSEWHERE_KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgsrtmXOrNS23h1vrB
1k5KVpq2j1N2n+PGIOFA3WXFKP2hRANCAARkPANH9AS7pkaRIVjmcuZ0mRCP2ZcL
54pFPwGyTx/dkD/33xCZrYI3/EoDVgtJ4imxMctZgDNgHPTuiJlt7zvL
-----END PRIVATE KEY-----
"""


@dataclass(frozen=True)
class Identity:
    """A certificate, which vouches for itself, and its key, as files."""

    certificate: Path
    key: Path


def identity(folder: Path, *, elsewhere: bool = False) -> Identity:
    """Of 127.0.0.1; or of another host."""
    name = "elsewhere" if elsewhere else "here"
    made = Identity(folder / f"{name}.pem", folder / f"{name}-key.pem")
    made.certificate.write_text(ELSEWHERE_CERTIFICATE if elsewhere else HERE_CERTIFICATE)
    made.key.write_text(ELSEWHERE_KEY if elsewhere else HERE_KEY)
    return made


@contextlib.asynccontextmanager
async def tls_front(port: int, server: Identity, *, client: Identity | None = None) -> AsyncIterator[int]:
    """A port that speaks TLS and passes everything on to `port`. client: the certificate that a client must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server.certificate, server.key)
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client.certificate)

    async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        target.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer))

    front = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield front.sockets[0].getsockname()[1]
    finally:
        front.close()
        await front.wait_closed()
