"""The cyclic garbage collector, tuned for a process that parses pages.

A page consists of tens of thousands of dictionaries, strings and numbers that never form a cycle, so reference counts
free all of them. Python's collector counts the containers that are allocated: with its default threshold it would
traverse each page dozens of times during parsing and free nothing. The few cycles of this program (tasks, exceptions
with their frames) can wait. Only processes of this program are tuned, never one that imports it.
"""

from __future__ import annotations

import gc

THRESHOLD = 20_000
"""The collector runs when so many more containers were allocated than freed since its last run.

Python's default is 700 or 2,000, depending on its version. A page of 200 profiles has 400 containers, and several pages
are in memory at a time.
"""


def tune_garbage_collector() -> None:
    """Makes the collector run rarely, and exclude the objects that exist now, such as modules and classes."""
    gc.collect()
    gc.freeze()
    _, *older = gc.get_threshold()
    gc.set_threshold(THRESHOLD, *older)
