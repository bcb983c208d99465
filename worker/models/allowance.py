"""The rate limit that an API reports: `http` reads it from headers, the rate limiter of `store` uses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """The rate limit that one answer reports.

    Args:
        limit: Requests that the API allows in a window; None if the answer does not say.
        pause_s: Seconds until the API accepts a request again; 0 if it accepts one now.
    """

    limit: int | None = None
    pause_s: float = 0.0
