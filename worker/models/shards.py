"""The shards that a sync of files reads, in total. Pure data, kept in Redis as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import orjson


@dataclass(frozen=True)
class ShardTotals:
    """The totals of all shards of a sync.

    Attributes:
        count: Number of shards.
        size: Their bytes, as they are stored.
        listed_at: When they were listed, Unix seconds. They are unchanged since then, or the sync fails.
    """

    count: int
    size: int
    listed_at: float

    def encode(self) -> str:
        """Encodes the totals for Redis."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Decodes what `encode` wrote; None if the text is empty or not of this version."""
        try:
            fields = orjson.loads(text)
            return cls(int(fields["count"]), int(fields["size"]), float(fields["listed_at"]))
        except (ValueError, KeyError, TypeError):
            return None
