"""What a round did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """What a round did, and how its syncs ended.

    Attributes:
        seed: Of the round.
        faults: How many of each kind there were.
        resumed: How many syncs were resumed.
        lost: How many syncs a power cut took away.
        repetitions: How many answers the requests with keys had.
        connections: To event streams.
        recovered_s: Seconds from the end of the trouble to the last end.
    """

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    resumed: int = 0
    lost: int = 0
    repetitions: int = 0
    connections: int = 0
    recovered_s: float = 0.0

    def __str__(self) -> str:
        faults = ", ".join(f"{n} {name}" for name, n in sorted(self.faults.items()))
        asked = f"{self.repetitions} answers, {self.connections} connections to streams"
        ends = f"resumed {self.resumed}, lost {self.lost}, {self.recovered_s:.1f} s to recover"
        return f"seed {self.seed}: {faults}; {asked}; {ends}"
