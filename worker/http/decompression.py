"""Decompresses bodies piece by piece, so that their size stays bounded: gzip, and `deflate` in both its forms."""

from __future__ import annotations

import zlib

from worker.http.errors import TransportError


class Gunzip:
    """Decompresses gzip piece by piece, through all members of the body (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        """Whether the last member is complete, with a correct checksum."""
        return self._member.eof

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Returns the decompressed bytes of `data`, at most `max_bytes`; the rest is dropped.

        Raises:
            TransportError: The data is broken.
        """
        out = b""
        try:
            while data and len(out) < max_bytes:
                if self._member.eof:
                    self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
                out += self._member.decompress(data, max_bytes - len(out))
                data = self._member.unused_data
        except zlib.error:
            raise TransportError("the compressed body is broken", maybe_done=True) from None
        return out


class Inflate:
    """Decompresses `deflate`: in the zlib format of the standard, or raw, as some servers send it."""

    def __init__(self) -> None:
        self._start = b""
        self._stream: zlib._Decompress | None = None

    @property
    def complete(self) -> bool:
        """Whether the stream is complete."""
        return self._stream is not None and self._stream.eof

    def feed(self, data: bytes, max_bytes: int) -> bytes:
        """Returns the decompressed bytes of `data`, at most `max_bytes`.

        Raises:
            TransportError: The data is broken.
        """
        if self._stream is None:
            self._start += data
            if len(self._start) < 2:
                return b""
            first, second = self._start[:2]
            is_zlib = first & 0x0F == 8 and (first * 256 + second) % 31 == 0
            self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
            data = self._start
        try:
            out = self._stream.decompress(data, max(max_bytes, 1))
        except zlib.error:
            raise TransportError("the compressed body is broken", maybe_done=True) from None
        if self._stream.unused_data:
            raise TransportError("the compressed body is broken", maybe_done=True)
        return out
