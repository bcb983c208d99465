"""The order of the tests: those that start processes first, and each process of pytest-xdist with its share of them.

`--dist worksteal` cuts the list into equal slices, one for each process. Without this order one process would have many
long tests, and long tests that begin last would keep one processor busy while the others have nothing to do.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence

import pytest

_LONG = ("tests/chaos/", "tests/integration/")
_TOGETHER = 10
"""At most so many long tests of a module stay together, so that they share its fixtures."""


def long_tests_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """The items in slices, each of which begins with its share of the long ones; else in the order that they had."""
    slices: list[list[pytest.Item]] = [[] for _ in range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))]
    for _, module in itertools.groupby(
        (item for item in items if item.nodeid.startswith(_LONG)), lambda item: item.path
    ):
        tests = list(module)
        for start in range(0, len(tests), _TOGETHER):
            min(slices, key=len).extend(tests[start : start + _TOGETHER])
    short = [item for item in items if not item.nodeid.startswith(_LONG)]
    left = len(items)
    for done, one in enumerate(slices):
        size = left // (len(slices) - done)  # as pytest-xdist cuts
        taken = max(0, size - len(one))
        one += short[:taken]
        del short[:taken]
        left -= size
    return [item for one in slices for item in one] + short
