"""Standard input or a pipe as the source, read line by line in Python: one profile a line.

DuckDB reads files (`file_shards`), but it must know a file's size, look at its beginning and open it again, and a pipe
can be read only once. A sync of a file that an earlier version began here also ends here: its position is a byte.
"""

from worker.segment.export_file.file_cache import OpenFiles
from worker.segment.export_file.file_opener import (
    STANDARD_INPUT,
    Opener,
    folder_opener,
    is_of_one_process,
    open_any_file,
)
from worker.segment.export_file.file_source import FileSource

__all__ = ["STANDARD_INPUT", "FileSource", "OpenFiles", "Opener", "folder_opener", "is_of_one_process", "open_any_file"]
