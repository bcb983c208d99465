"""A rival that reads a space in a loop, in a separate process: neither its imports nor its garbage are ours.

Such a module calls `report` as its main program, and `read_space` starts it by its name: it may need what is not
installed here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.figure import BenchError
from tests.bench.rivals.recipe import cluster

Pages = Callable[[str, str], Iterable[list[dict[str, Any]]]]
"""The pages of a space, given Segment's URL and the space's id."""

_LONGEST_S = 300.0


@dataclass(frozen=True)
class LoopResult:
    """seconds: from the first request to the summaries."""

    seconds: float
    profiles: int


def read_space(rival: str, segment_url: str, space_id: str) -> LoopResult:
    """Runs a module of this package on a space. Raises BenchError, with the end of what it said, if it fails."""
    command = [sys.executable, "-m", f"{__package__}.{rival}", segment_url, space_id]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    if done.returncode:
        raise BenchError(f"{rival} ended with {done.returncode}: {done.stderr[-500:]}")
    return LoopResult(**json.loads(done.stdout))


def report(pages: Pages) -> None:
    """Reads and clusters the space that the command line names, and prints how long it took."""
    segment_url, space_id = sys.argv[1:]
    start = time.monotonic()
    profiles = cluster(pages(segment_url, space_id))
    print(json.dumps(asdict(LoopResult(time.monotonic() - start, profiles))))
