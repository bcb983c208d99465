"""Merging aggregates without changing them."""

from worker.clusters import Aggregate


def merge(left: Aggregate, right: Aggregate) -> Aggregate:
    """Returns a new aggregate with everything that either has counted."""
    result = Aggregate()
    result.merge(left)
    result.merge(right)
    return result
