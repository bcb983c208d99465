"""What a walk makes of the pages that it reads, and how it is kept: the part in which the strategies differ."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from worker.jobs.fetch.page_prefetcher import FetchedPage
from worker.segment import Source


@dataclass(frozen=True)
class HandOver:
    """A walk gives its sync to whatever follows, after `delay_s` seconds. note: what it then waits for."""

    delay_s: float = 0.0
    note: str = ""


class FetchStrategy(Protocol):
    """One walk's. source: what it reads; cursor, pages: where it is; listed: how many entries those pages had; ended:
    whether it has read all it should."""

    source: Source

    @property
    def cursor(self) -> str: ...

    @property
    def pages(self) -> int: ...

    @property
    def listed(self) -> int: ...

    @property
    def ended(self) -> bool: ...

    def wanted(self, on_their_way: int) -> bool:
        """Whether a further page should be asked for; on_their_way: entries of pages that are read already."""

    def take(self, page: FetchedPage) -> None:
        """Takes the next page and moves on, both or neither. Raises Permanent if the listing leads nowhere."""

    def due(self) -> bool:
        """Whether there is something to commit."""

    def commit(self, trouble_ms: int, *, last: bool = False, hand_over: HandOver | None = None) -> Awaitable[None]:
        """Writes what it stands for at the moment of the call; one commit at a time.

        last: the walk takes no further page. hand_over: and it leaves its sync. Raises LeaseLost.
        """
