"""When an event that could not be delivered is sent again. Pure."""

from __future__ import annotations

FIRST_S, GROWTH, LONGEST_S = 5.0, 4.0, 4 * 3600.0
"""Pauses after the attempts, in seconds: 5, 20, 80, 320, …, at most four hours."""

GIVE_UP_S = 86_400.0
"""Seconds after its first attempt from which on an event is not sent again."""


def retry_delay_s(attempts: int, jitter: float, retry_after_s: float | None = None) -> float:
    """Seconds until the next attempt.

    Args:
        attempts: How many were made, at least 1.
        jitter: Random, from 0 to 1: the pause varies by a quarter, so that many events do not come at once.
        retry_after_s: What the receiver asks for; obeyed up to the longest pause.
    """
    pause_s: float = min(FIRST_S * GROWTH ** min(attempts - 1, 20), LONGEST_S)
    varied_s = pause_s * (0.75 + 0.5 * jitter)
    return max(varied_s, min(retry_after_s or 0.0, LONGEST_S))


def gives_up(first_attempt_at: float, next_attempt_at: float) -> bool:
    """Returns whether an event is lost instead of being sent at `next_attempt_at`. Both times are Unix seconds."""
    return next_attempt_at - first_attempt_at > GIVE_UP_S
