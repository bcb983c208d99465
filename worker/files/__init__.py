"""A file as the source: one profile a line, such as Segment's Profiles Sync has them in the warehouse."""

from worker.files.open_files import OpenFiles
from worker.files.reach import STANDARD_INPUT, Opener, anywhere, under
from worker.files.source import FileSource

__all__ = ["STANDARD_INPUT", "FileSource", "OpenFiles", "Opener", "anywhere", "under"]
