"""A file as the source: one profile a line, such as an export of the tables of Segment's Profiles Sync."""

from worker.segment.export_file.file_access import (
    STANDARD_INPUT,
    Opener,
    folder_opener,
    is_of_one_process,
    open_any_file,
)
from worker.segment.export_file.file_cache import OpenFiles
from worker.segment.export_file.file_source import FileSource

__all__ = ["STANDARD_INPUT", "FileSource", "OpenFiles", "Opener", "folder_opener", "is_of_one_process", "open_any_file"]
