"""A file as the source: profiles a second of one worker, beside what one core can parse and fold at most."""

from __future__ import annotations

import time
from pathlib import Path

from producer.sandbox import SandboxOptions
from tests.bench import profiles_file
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.testbed import Testbed
from tests.support.servers.redis_server import RedisServer
from worker.clusters import Aggregate, fold
from worker.http.body import parse_json

PROFILES = 200_000
PAGE_SIZE = 500

PLAIN = "a file"
PACKED = "the same file, .gz"
FLOOR = "parsed and folded in memory"


class File:
    name = "file"
    title = f"From a file of {PROFILES:,} profiles with 10 traits, one worker"
    goals: tuple[Goal, ...] = ()
    opt_in = False
    plot = Plot("value", rows=(PLAIN, PACKED, FLOOR), ours=(PLAIN, PACKED))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """A worker that has read a file before, then the lines in this process."""
        with Testbed(redis, SandboxOptions({})) as testbed:
            plain = profiles_file.write(testbed.folder / "profiles.ndjson", PROFILES)
            packed = profiles_file.write(testbed.folder / "profiles.ndjson.gz", PROFILES)
            testbed.start_worker(FILES_DIR=str(testbed.folder))
            _profiles_a_second(testbed, plain)
            from_plain, from_packed = _profiles_a_second(testbed, plain), _profiles_a_second(testbed, packed)
            floor = _in_memory(plain)
        return [
            Sample(PLAIN, from_plain, "profiles/s", from_plain / floor, FLOOR),
            Sample(PACKED, from_packed, "profiles/s", from_packed / floor, FLOOR),
            Sample(FLOOR, floor, "profiles/s"),
        ]


def _profiles_a_second(testbed: Testbed, path: Path) -> float:
    return PROFILES / testbed.sync("spa_file", profiles=PROFILES, file=path.name).fetching_s


def _in_memory(path: Path) -> float:
    lines = path.read_bytes().splitlines()
    aggregate = Aggregate()
    start = time.monotonic()
    for first in range(0, PROFILES, PAGE_SIZE):
        fold(aggregate, [parse_json(line) for line in lines[first : first + PAGE_SIZE]])
    return PROFILES / (time.monotonic() - start)


FIGURE = File()
