"""The files of the web page: read once at the start, and served with a strict Content-Security-Policy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from aiohttp import web

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)

_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class StaticFile:
    """A file with its headers.

    Attributes:
        etag: The entity tag, in quotes.
    """

    content: bytes
    content_type: str
    etag: str


class StaticRoutes:
    """Serves `producer/api/page/`: `index.html` at `/`, the others under `/static/`. Files are read at the start."""

    def __init__(self) -> None:
        self._files = dict(_files_of(resources.files("producer.api") / "page"))

    async def index(self, request: web.Request) -> web.Response:
        """GET /"""
        return self._answer(request, "index.html")

    async def file(self, request: web.Request) -> web.Response:
        """GET /static/{name}"""
        return self._answer(request, request.match_info["name"])

    def _answer(self, request: web.Request, name: str) -> web.Response:
        found = self._files.get(name)
        if found is None:
            raise web.HTTPNotFound
        headers = {"ETag": found.etag, "Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY}
        if found.etag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=found.content, headers={**headers, "Content-Type": found.content_type})

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Adds the routes. They are not part of the OpenAPI document."""
        router.add_get("/", self.index)
        router.add_get("/static/{name:.+}", self.file)


def _files_of(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, StaticFile]]:
    """Yields each file with its path, such as `views/sync.js`."""
    for file in folder.iterdir():
        ending = file.name[file.name.rfind(".") :]
        if file.is_dir():
            yield from _files_of(file, f"{prefix}{file.name}/")
        elif ending in _TYPES:
            content = file.read_bytes()
            kind = _TYPES[ending]
            text = kind.startswith("text/") or ending in {".svg", ".webmanifest"}
            etag = f'"{hashlib.blake2b(content, digest_size=8).hexdigest()}"'
            yield prefix + file.name, StaticFile(content, f"{kind}; charset=utf-8" if text else kind, etag)
