"""A file as a source: pages of profiles with their traits. A cursor is a place in the file."""

from __future__ import annotations

from worker.errors import ResumableStop
from worker.segment.export_file.file_cache import OpenFiles
from worker.segment.export_file.ndjson_file import FilePosition
from worker.segment.page import Page
from worker.segment.source import Call, FetchedProfiles


class FileSource:
    """Reads `file` through the worker's open files, without a rate limit."""

    concurrent_pages = 2

    def __init__(self, files: OpenFiles, file: str) -> None:
        self._files = files
        self._file = file

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Reads the page at `cursor`; an empty cursor is the start of the file. Raises ApiError.

        code                        when
        file_forbidden              it is not under `FILES_DIR`
        file_missing                it does not exist
        file_unreadable             a directory, no permission, a broken disk
        file_empty                  no profile is in it
        file_changed                it has changed since the first page was read
        file_corrupt                it is named `.gz` and is not gzip, or it ends too early
        file_format                 it is not one JSON object a line
        file_gone                   it is a pipe that was read before
        """
        page = await self._files.read(self._file, FilePosition.decode(cursor) if cursor else None)
        if not cursor and not page.entries:
            merged = f" ({page.merged:,} lines are profiles that were merged into others)" if page.merged else ""
            raise ResumableStop(
                "file_empty",
                f"File {self._file}: it contains no profile{merged}",
                hint="Write the file again.",
            )
        return Page(page.entries, page.following.encode() if page.following else None, merged=page.merged)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Returns the profiles of a page, which came with their traits."""
        return FetchedProfiles(page.profiles)
