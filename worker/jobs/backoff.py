"""How long to wait before the next attempt: exponential, with jitter. How often is the caller's business.

Pure but for the randomness, which comes from outside.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """base_s: the first pause; it doubles up to cap_s. Each pause is drawn evenly from its upper half.

    draw: returns a number in [0, 1).
    """

    base_s: float
    cap_s: float = 10.0
    draw: Callable[[], float] = random.random

    def pause_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1 or more)."""
        longest = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 30))
        return longest * (0.5 + 0.5 * self.draw())
