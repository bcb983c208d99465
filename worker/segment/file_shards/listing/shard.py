"""A shard: one file of an export, with what identifies its content. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

import orjson

FileKind = Literal["parquet", "csv", "ndjson"]

_KINDS: dict[str, FileKind] = {
    "parquet": "parquet",
    "parq": "parquet",
    "pq": "parquet",
    "csv": "csv",
    "tsv": "csv",
    "json": "ndjson",
    "jsonl": "ndjson",
    "ndjson": "ndjson",
}
_COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}


@dataclass(frozen=True)
class Shard:
    """One file of an export.

    Attributes:
        name: Its path as the request names it, or a URL.
        size: Bytes.
        version: Identifies its content: its time of change, or the tag that an object store gives it.
    """

    name: str
    size: int
    version: str

    def encode(self) -> str:
        """Encodes the shard as the cursor of a page of a batch."""
        return orjson.dumps([self.name, self.size, self.version]).decode()

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """Decodes what `encode` wrote."""
        name, size, version = orjson.loads(cursor)
        return cls(name, size, version)


def digest_of(shards: Iterable[Shard]) -> str:
    """Returns 16 characters that differ if a shard is added, removed or replaced."""
    digest = hashlib.blake2b(digest_size=8)
    for shard in shards:
        digest.update(shard.encode().encode(errors="surrogatepass") + b"\0")
    return digest.hexdigest()


def kind_of_name(name: str) -> FileKind | None:
    """Returns the format that the ending of a file's name says, compressed or not; None if it says none."""
    return _KINDS.get(_uncompressed(name).rpartition(".")[2].lower())


def compression_of_name(name: str) -> str | None:
    """Returns `gzip` or `zstd` if the ending of a file's name says so; else None."""
    return _COMPRESSIONS.get(name.rpartition(".")[2].lower())


def _uncompressed(name: str) -> str:
    return name.rpartition(".")[0] if compression_of_name(name) else name
