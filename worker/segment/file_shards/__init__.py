"""Files of an export as the source: Parquet, CSV and lines of JSON, in one file or many shards, read by DuckDB.

DuckDB and sqlglot take 50 MiB and half a second to load, so they are loaded when the first file is read.
"""

from worker.segment.file_shards.listing.file_access import FileAccess
from worker.segment.file_shards.listing.shard import Shard
from worker.segment.file_shards.read_options import EngineLimits, ReadOptions
from worker.segment.file_shards.shard_engine import ShardEngine
from worker.segment.file_shards.shard_source import ListedShard, ShardSource

__all__ = ["EngineLimits", "FileAccess", "ListedShard", "ReadOptions", "Shard", "ShardEngine", "ShardSource"]
