"""How long a sync takes, by formula: what is slowest decides. Pure.

chain        pages × the longest of: a page's latency and turn · the gap between two requests · its processor time
fan-out      pages × the longest of: a listing's latency and turn · the gap between two requests, twice · a page's
             processor time ÷ workers; and once the last batch
profile-api  requests × the longest of: the gap between two of them · the latency ÷ requests side by side · the
             processor time of one; and at each lease's end, once the latency of a list and of traits
file         lines × the processor time of one
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tests.bench.scale.inputs import CONCURRENT_REQUESTS, LEASE_S, PAGE_SIZE, Inputs, Way, pace_s
from worker.jobs.fetch.fan_out import MAX_PAGES_PER_BATCH
from worker.jobs.fetch.page_batch_reader import CONCURRENT_PAGES as BATCH_PAGES
from worker.segment.profile_api import MAX_PAGE_SIZE

LATENCY, RATE, PROCESSOR = "latency", "rate limit", "processor"


@dataclass(frozen=True)
class Prediction:
    """seconds: from the first request to the last page. calls: requests to Segment. limit: what decides.

    workers: how many of those that there are have something to do.
    """

    seconds: float
    calls: int
    limit: str
    workers: int


def predict(way: Way, profiles: int, inputs: Inputs) -> Prediction:
    """What a space of so many profiles, at least one, takes."""
    gap_s = pace_s(inputs.rate)
    pages = math.ceil(profiles / PAGE_SIZE)
    match way:
        case Way.CHAIN:
            step = _slowest(inputs.page_s + inputs.turn_s, gap_s, inputs.turn_s + inputs.fold_s)
            return Prediction(pages * step[0], pages, step[1], 1)
        case Way.FAN_OUT:
            work_s = 2 * inputs.turn_s + inputs.fold_s
            step = _slowest(inputs.listing_s + inputs.turn_s, 2 * gap_s, work_s / inputs.workers)
            last_batch = pages % MAX_PAGES_PER_BATCH or MAX_PAGES_PER_BATCH
            last_s = inputs.page_s * math.ceil(last_batch / BATCH_PAGES)
            return Prediction(pages * step[0] + last_s, 2 * pages, step[1], math.ceil(work_s / step[0]))
        case Way.PROFILE_API:
            calls = profiles + math.ceil(profiles / MAX_PAGE_SIZE)
            step = _slowest(inputs.traits_s / CONCURRENT_REQUESTS, gap_s, inputs.request_s)
            idle_s = inputs.traits_s + inputs.listing_s
            return Prediction(calls * step[0] / (1 - idle_s / LEASE_S) + idle_s, calls, step[1], 1)
        case Way.FILE:
            return Prediction(profiles * inputs.line_s, 0, PROCESSOR, 1)


def _slowest(latency_s: float, gap_s: float, processor_s: float) -> tuple[float, str]:
    return max((latency_s, LATENCY), (gap_s, RATE), (processor_s, PROCESSOR))
