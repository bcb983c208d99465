"""Decides which files of a disk or of object storage may be read, and finds those that a name means.

Files whose names begin with a dot or an underscore (`_SUCCESS`, `_metadata`) are not found, because writers of shards
leave such files behind.
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from worker.errors import ApiError, Permanent, ResumableStop
from worker.segment.export_file.file_opener import unreadable_file_error
from worker.segment.file_shards.listing.object_storage import INSTALL, ObjectStorage, has_extra, is_url
from worker.segment.file_shards.listing.shard import Shard

MAX_SHARDS = 10_000
"""Most shards of one sync. More are a sign that the directory holds more than one export."""

HIDDEN = (".", "_")


class FileAccess:
    """Which files may be read, and how.

    Args:
        directory: The directory to which names are relative and under which every file must be, after links are
            resolved; None permits no file of the disk.
        url: Prefix of the URLs of object storage that may be read; None permits none.
        anywhere: Whether every file and URL may be read, because the user of this process named it.
    """

    def __init__(self, directory: Path | None, *, url: str | None = None, anywhere: bool = False) -> None:
        self._directory = directory
        self._url = url
        self._anywhere = anywhere
        self._storage = ObjectStorage()

    def open(self, name: str) -> BinaryIO:
        """Opens a file. Raises ResumableStop or OSError."""
        path = self.path(name)
        return BufferedReader(self._storage.open(path), 1 << 20) if is_url(name) else open(path, "rb")

    def filesystems(self, names: Iterable[str]) -> list[Any]:
        """Returns the file systems that DuckDB needs for these files."""
        return self._storage.filesystems() if any(map(is_url, names)) else []

    def take_failure(self) -> ApiError | None:
        """Returns why object storage could not be read, once; None if it did not fail."""
        return self._storage.take_failure()

    def path(self, name: str) -> str:
        """Returns the path of a file that a request names. Raises ResumableStop `file_forbidden`."""
        if is_url(name):
            return self._permitted_url(name)
        if self._anywhere:
            return os.path.abspath(name)
        if self._directory is None:
            raise ResumableStop(
                "file_forbidden",
                f"File {name}: the workers may not read files",
                hint="Set FILES_DIR where the workers run to the directory that has the file.",
            )
        path, root = os.path.realpath(self._directory / name), os.path.realpath(self._directory)
        if not Path(path).is_relative_to(root):
            raise ResumableStop(
                "file_forbidden",
                f"File {name}: it is not under the workers' FILES_DIR",
                hint="Set FILES_DIR where the workers run to a directory that has the file, or start another sync "
                "with a name under FILES_DIR.",
            )
        return path

    def names(self, file: str) -> list[str]:
        """Returns the names of the files that `file` means, sorted: itself, its files, or what matches it.

        Raises:
            ResumableStop: `file_forbidden`, `file_missing`, `file_unreadable`.
            Permanent: `too_many_shards`.
        """
        path = self.path(file)
        if is_url(file):
            found = self._storage.names(file)
            return _bounded(file, (url for url in found if not _is_hidden(url, file)))
        if os.path.isdir(path):
            return _bounded(file, _files_of(file, path))
        if os.path.exists(path) or not glob.has_magic(file):
            return [file]
        base = "" if self._anywhere else os.fspath(self._directory or "")
        found = glob.iglob(file, root_dir=base or None, recursive=True)
        kept = (name for name in found if not (_is_hidden(name, file) or os.path.isdir(os.path.join(base, name))))
        return _bounded(file, kept)

    def identify(self, name: str) -> Shard:
        """Returns a file as a shard. Raises ResumableStop `file_missing`, `file_unreadable` or `file_forbidden`."""
        path = self.path(name)
        if is_url(name):
            return self._storage.identify(name)
        try:
            found = os.stat(path)
        except FileNotFoundError:
            raise missing_file_error(name) from None
        except OSError as error:
            raise unreadable_file_error(name, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise ResumableStop(
                "file_unreadable",
                f"File {name}: it is not a regular file",
                hint="Name a file, the directory of one export, or a pattern.",
            )
        return Shard(name, found.st_size, str(found.st_mtime_ns))

    def is_pipe(self, name: str) -> bool:
        """Returns whether `name` is a pipe or device, which can be read only once. False if it cannot be looked at."""
        try:
            if is_url(name):
                return False
            mode = os.stat(self.path(name)).st_mode
        except (OSError, ResumableStop):
            return False
        return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))

    def _permitted_url(self, url: str) -> str:
        """Returns the URL. Raises ResumableStop `file_forbidden`, or `driver_missing` without the extra."""
        root = (self._url or "").rstrip("/") + "/"
        if not self._anywhere and (self._url is None or not url.startswith(root) or ".." in url.split("/")):
            raise ResumableStop(
                "file_forbidden",
                f"File {url}: the workers may not read this URL",
                hint="Set FILES_URL where the workers run to the beginning of the URLs that they may read.",
            )
        if not has_extra():
            raise ResumableStop(
                "driver_missing",
                f"File {url}: reading object storage needs obstore, which is not installed",
                hint=f"Run: {INSTALL}",
            )
        return url


def _is_hidden(name: str, file: str) -> bool:
    """Returns whether a part of a path begins as hidden names do, and `file` does not name it."""
    named = set(file.split("/"))
    return any(part.startswith(HIDDEN) and part not in named for part in name.split("/"))


def missing_file_error(name: str, *, is_directory: bool = False) -> ResumableStop:
    """Returns the error for a name that means no file."""
    if is_directory:
        what, hint = "the directory contains no files", "Put the files of the export there."
    else:
        what = "no file matches this pattern" if glob.has_magic(name) else "it does not exist"
        hint = "Put the file there."
    return ResumableStop("file_missing", f"File {name}: {what} on the machine that reads it", hint=hint)


def _files_of(name: str, path: str) -> Iterator[str]:
    """Yields the files under a directory, also of its folders, with names that begin as `name` does."""
    for folder, folders, files in os.walk(path):
        folders[:] = [one for one in folders if not one.startswith(HIDDEN)]
        for one in files:
            yield os.path.normpath(os.path.join(name, os.path.relpath(folder, path), one))


def _bounded(file: str, names: Iterable[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        if os.path.basename(name).startswith(HIDDEN):
            continue
        if len(found) == MAX_SHARDS:
            raise Permanent(
                "too_many_shards",
                f"File {file}: it matches more than {MAX_SHARDS:,} files",
                hint="Name a directory or pattern that has the files of one export only, or write larger files.",
            )
        found.append(name)
    return sorted(found)
