"""Ranks among values of which each is there many times."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def at_rank(counted: Sequence[tuple[T, int]], rank: int) -> T:
    """The value at a rank from 0. counted: values in ascending order, each with how many times it is there.

    Raises IndexError if there are not so many values.
    """
    for (value, _), below in zip(counted, accumulate(n for _, n in counted), strict=True):
        if rank < below:
            return value
    raise IndexError(f"there is no value at rank {rank}")
