"""What a prediction depends on: what the API takes and allows, and what the program costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.settings import Settings
from worker.store import RateScope

PAGE_SIZE: int = Settings.model_fields["segment_page_size"].default
"""Profiles in a page of `inline`."""
LEASE_S: float = Settings.model_fields["lease_s"].default
"""How long a fetch job runs before it hands over, in seconds."""
CONCURRENT_REQUESTS: int = Settings.model_fields["segment_concurrency"].default
"""Requests for traits under way at a time."""


class Way(StrEnum):
    """The ways to read a space."""

    CHAIN = "inline, chain"
    FAN_OUT = "inline, fan-out"
    PROFILE_API = "profile-api"
    FILE = "file"


@dataclass(frozen=True)
class Inputs:
    """Times in seconds. What an API takes is assumed here; `doctor` measures yours. What we cost is of `make bench`.

    page_s: a page with the traits of its profiles. listing_s: one without. traits_s: the traits of one profile.
    rate: requests a second that may be sent (`SEGMENT_RATE`). workers: each on a core of its own.

    turn_s: from the arrival of a page to the request for the next one. fold_s: what a page costs beyond that.
    request_s: what a request for one profile's traits costs. line_s: what a line of a file costs.
    """

    page_s: float = 0.2
    listing_s: float = 0.04
    traits_s: float = 0.15
    rate: float = 100.0
    workers: int = 2

    turn_s: float = 0.0015
    fold_s: float = 0.0004
    request_s: float = 0.0003
    line_s: float = 0.000004


def pace_s(rate: float) -> float:
    """Seconds between two requests where the limiter decides, for so many allowed requests a second."""
    scope = RateScope.per_second("", rate)
    return scope.window_s / (scope.most * (1 - scope.margin))
