"""A small stand-in for S3: lists objects (ListObjectsV2) and reads them, whole or in ranges."""

from __future__ import annotations

import hashlib
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

_LISTED = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>{tag}</ETag>"
    "<Size>{size}</Size></Contents>"
)


class S3Server:
    """A context. objects: key (`bucket/path`) → content, which may change. denied: whether every request is refused."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.denied = False
        server = self

        class Handler(_Handler):
            s3 = server

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which clients find it."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._http.server_port}",
            "AWS_ALLOW_HTTP": "true",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: S3Server

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        key, query = unquote(url.path.lstrip("/")), dict(parse_qsl(url.query))
        if self.s3.denied:
            self._answer(403, b"<Error><Code>AccessDenied</Code></Error>")
        elif query.get("list-type") == "2":
            start = f"{key.rstrip('/')}/"
            found = "".join(
                _LISTED.format(key=name.removeprefix(start), tag=_tag(content), size=len(content))
                for name, content in sorted(self.s3.objects.items())
                if name.startswith(start + query.get("prefix", ""))
            )
            self._answer(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())
        elif key not in self.s3.objects:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._send_object(self.s3.objects[key])

    def _send_object(self, content: bytes) -> None:
        headers = {"ETag": _tag(content), "Last-Modified": formatdate(1.7e9, usegmt=True)}
        if asked := self.headers.get("Range"):
            first, last = (int(text) for text in asked.removeprefix("bytes=").split("-"))
            part = content[first : last + 1]
            headers["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            self._answer(206, part, headers)
        else:
            self._answer(200, content, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Logs nothing."""


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
