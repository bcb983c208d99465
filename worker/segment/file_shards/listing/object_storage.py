"""Files in object storage (`s3://`, `gs://`, `az://`), read by obstore: for Python, and as a file system for DuckDB.

obstore is an extra of the program (`object-storage`). It takes credentials from the environment or the machine, as the
command-line tools of the providers do, and repeats requests that fail. This module imports it when a URL is read.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.util
import io
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from worker.errors import ApiError, ConfigurationError, ResumableStop
from worker.segment.file_shards.listing.shard import Shard

SCHEMES = ("s3", "gs", "az")
INSTALL = "pip install 'segment-personas[object-storage]'"
_WILDCARDS = "*?["


def is_url(name: str) -> bool:
    """Returns whether a name is a URL of object storage."""
    return name.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def has_extra() -> bool:
    """Returns whether the packages of the extra are installed."""
    return all(importlib.util.find_spec(package) is not None for package in ("obstore", "fsspec"))


def require_extra(file: str) -> None:
    """Raises ConfigurationError if the extra is not installed."""
    if not has_extra():
        raise ConfigurationError(f"File {file}: reading object storage needs obstore.", hint=f"Run: {INSTALL}")


class ObjectStorage:
    """The buckets that one process reads. A store is made when its bucket is first named."""

    def __init__(self) -> None:
        self._stores: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._failure: ApiError | None = None

    def names(self, url: str) -> Iterator[str]:
        """Yields the URLs of the objects that a URL means: itself, those under it, or those that match it.

        Raises:
            ResumableStop: As `identify`, but for `file_missing`.
        """
        import obstore

        store, path = self._store(url)
        bucket = url[: len(url) - len(path)]
        has_wildcard = any(sign in path for sign in _WILDCARDS)
        folder = path.rstrip("/")
        if has_wildcard:
            folder = path[: min(path.find(sign) for sign in _WILDCARDS if sign in path)].rpartition("/")[0]
        with self._failures_named(url):
            if not has_wildcard and not path.endswith("/") and self._exists(store, path):
                yield url
                return
            for batch in obstore.list(store, prefix=folder or None):
                for meta in batch:
                    name = meta["path"]
                    if not has_wildcard or fnmatch.fnmatchcase(name, path):
                        yield bucket + name

    def identify(self, url: str) -> Shard:
        """Returns an object as a shard. Raises ResumableStop `file_missing` or `file_unreadable`."""
        import obstore

        store, path = self._store(url)
        with self._failures_named(url):
            meta = obstore.head(store, path)
        return Shard(url, meta["size"], meta.get("e_tag") or meta["last_modified"].isoformat())

    def open(self, url: str) -> _ObjectFile:
        """Opens an object for reading. Raises ResumableStop."""
        return _ObjectFile(self, url, self.identify(url).size)

    def read(self, url: str, start: int, length: int) -> bytes:
        """Returns bytes of an object. Raises ResumableStop."""
        import obstore

        store, path = self._store(url)
        with self._failures_named(url):
            return bytes(obstore.get_range(store, path, start=start, length=length))

    def take_failure(self) -> ApiError | None:
        """Returns the last failure once: DuckDB replaces failures of a file system by its own errors."""
        with self._lock:
            failure, self._failure = self._failure, None
        return failure

    def filesystems(self) -> list[Any]:
        """Returns a file system of fsspec for each scheme, for `register_filesystem` of DuckDB."""
        from fsspec.spec import AbstractFileSystem

        storage = self

        def url_of(scheme: str, path: str) -> str:
            return path if "://" in path else f"{scheme}://{path}"

        class ObjectFileSystem(AbstractFileSystem):  # type: ignore[misc, unused-ignore]
            cachable = False

            def open(self, path: str, mode: str = "rb", **_: Any) -> _ObjectFile:
                return storage.open(url_of(self.protocol, path))

            def info(self, path: str, **_: Any) -> dict[str, Any]:
                return {"name": path, "size": storage.identify(url_of(self.protocol, path)).size, "type": "file"}

            def glob(self, path: str, **_: Any) -> list[str]:
                return [path]  # shards are listed already, and a name may have the signs of a pattern

            def exists(self, path: str, **_: Any) -> bool:
                return True

            def isfile(self, path: str) -> bool:
                return True

            def modified(self, path: str) -> datetime:
                return datetime(2000, 1, 1)  # for caches, which are not used; the shard has its version

        return [type(f"{scheme}_files", (ObjectFileSystem,), {"protocol": scheme})() for scheme in SCHEMES]

    def _store(self, url: str) -> tuple[Any, str]:
        """Returns the store of the bucket of a URL, and the path in it."""
        from obstore.store import from_url

        parts = urlsplit(url, allow_fragments=False)
        bucket = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if bucket not in self._stores:
                self._stores[bucket] = from_url(bucket)
            return self._stores[bucket], url[len(bucket) :].lstrip("/")

    def _exists(self, store: Any, path: str) -> bool:
        import obstore

        try:
            obstore.head(store, path)
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            return False
        return True

    @contextlib.contextmanager
    def _failures_named(self, url: str) -> Iterator[None]:
        import obstore

        try:
            yield
        except (FileNotFoundError, obstore.exceptions.NotFoundError):
            raise self._note(ResumableStop("file_missing", f"File {url}: the object does not exist")) from None
        except (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError, PermissionError):
            hint = "Give the workers credentials that may list and read the bucket."
            raise self._note(ResumableStop("file_unreadable", f"File {url}: access is denied", hint=hint)) from None
        except obstore.exceptions.BaseError:
            hint = "Check the bucket, the region and the network of the workers."
            raise self._note(ResumableStop("file_unreadable", f"File {url}: it cannot be read", hint=hint)) from None

    def _note(self, failure: ApiError) -> ApiError:
        with self._lock:
            self._failure = failure
        return failure


class _ObjectFile(io.RawIOBase):
    """An object that is read in parts.

    DuckDB reads one file from several threads, and each moves the position before it reads. A position that a thread
    has set is therefore the one of its own next read.
    """

    def __init__(self, storage: ObjectStorage, url: str, size: int) -> None:
        self._storage = storage
        self._url = url
        self._size = size
        self._position = 0
        self._of_thread = threading.local()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        position = getattr(self._of_thread, "position", None)
        return self._position if position is None else position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}[whence]
        self._of_thread.position = start + offset
        return start + offset

    def read(self, size: int | None = -1, /) -> bytes:
        start = self.tell()
        left = max(0, self._size - start)
        length = left if size is None or size < 0 else min(size, left)
        data = self._storage.read(self._url, start, length) if length else b""
        self._position, self._of_thread.position = start + len(data), None
        return data

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
