"""A file in the place of a space: pages of profiles with their traits, from a cursor on that is a place in the file."""

from __future__ import annotations

from worker.errors import ResumableStop
from worker.segment.export_file.file_cache import OpenFiles
from worker.segment.export_file.ndjson_file import Place
from worker.segment.pagination import Page
from worker.segment.source import Call, FetchedProfiles


class FileSource:
    """Reads `file` through the worker's open files. Nothing limits how fast."""

    concurrent_pages = 2

    def __init__(self, files: OpenFiles, file: str) -> None:
        self._files = files
        self._file = file

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """The profiles from `cursor` on ('': from the start). Raises ApiError.

        code                        when
        file_forbidden              it is not under `FILES_DIR`
        file_missing                it is not there
        file_unreadable             a directory, no permission, a broken disk
        file_empty                  no profile is in it
        file_changed                it is no longer what it was when the first page was read
        file_corrupt                it is named `.gz` and is not, or it ends too early
        file_format                 it is not one JSON object a line
        file_gone                   a pipe that somebody has read from before
        """
        page = await self._files.read(self._file, Place.decode(cursor) if cursor else None)
        if not cursor and not page.entries:
            merged = f" ({page.merged:,} lines are profiles that were merged into others)" if page.merged else ""
            raise ResumableStop(
                "file_empty",
                f"File {self._file}: there is no profile in it{merged}",
                hint="Write the file again.",
            )
        return Page(page.entries, page.following.encode() if page.following else None, merged=page.merged)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """The profiles of a page, as they came with it."""
        return FetchedProfiles(page.profiles)
