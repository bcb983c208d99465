"""The cyclic garbage collector, tuned for a process that parses pages.

A page is tens of thousands of dictionaries, strings and numbers that never form a cycle, and all of them are freed by
their reference counts. Python's collector counts containers that are made, not those that are garbage: with its default
threshold it would look over every page dozens of times while it is parsed, to find nothing. What does form cycles here
(tasks, exceptions with their frames) is few, and can wait. Only a process of our own is tuned so, never one that
imports us.
"""

from __future__ import annotations

import gc

THRESHOLD = 20_000
"""So many more containers made than freed since the last look let the collector look again. By default it is 700 or
2,000, by Python's version; a page of 200 profiles makes 400 at once, and some pages are there at a time."""


def collect_seldom() -> None:
    """Lets the collector look seldom, and never again at what the program is made of."""
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(THRESHOLD, *older)
