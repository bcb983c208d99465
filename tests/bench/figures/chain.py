"""A chain of pages where the network decides: how close to pages × latency the program gets, beside other ways to
read it."""

from __future__ import annotations

from producer.sandbox import SandboxOptions, SpaceSpec
from tests.bench.figure import Goal, Plot, Sample
from tests.bench.rivals import loop_process, page_a_job, raw_chain
from tests.bench.testbed import SEGMENT_RATE, Testbed
from tests.support.servers.redis_server import RedisServer
from worker.settings import Settings

PAGES, PAGE_SIZE, LATENCY_S = 100, 200, 0.05
PROFILES = PAGES * PAGE_SIZE

ARQ_PAGES = 10
"""arq's poll delay makes every page cost the same tenfold: a tenth of the chain tells all in a tenth of the time."""

OURS = "ours, enqueue to last page"
DEFAULT = "ours, with the default SEGMENT_RATE"
LOOP = "requests loop"
DLT = "dlt's RESTClient, cursor paginator"
BARE = "a bare client that parses nothing"


class Chain:
    name = "chain"
    title = f"One chain of {PAGES} pages × {LATENCY_S * 1000:.0f} ms"
    goals = (Goal(OURS, of="ratio", bound=1.05), Goal(DEFAULT, of="ratio", bound=1.05))
    opt_in = False
    plot = Plot("ratio", rows=(OURS, LOOP, DLT, BARE), ours=(OURS,))

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Ours and the rivals one after the other, on one sandbox."""
        options = SandboxOptions({}, SpaceSpec(PROFILES, "wide"), latency_s=LATENCY_S)
        with Testbed(redis, options, awake=True) as testbed:
            worker = testbed.start_worker(SEGMENT_RATE=SEGMENT_RATE)
            ours = testbed.sync("spa_ours", profiles=PROFILES)
            worker.close()
            worker = testbed.start_worker(SEGMENT_RATE=str(Settings.model_fields["segment_rate"].default))
            default = testbed.sync("spa_default", profiles=PROFILES)
            worker.close()
            loop = loop_process.read_space("requests_loop", testbed.sandbox.segment_url, "spa_loop")
            dlt = loop_process.read_space("dlt_client", testbed.sandbox.segment_url, "spa_dlt")
            arq_s = page_a_job.read_space(testbed, "spa_arq", ARQ_PAGES)
            bare_s = PAGES / raw_chain.requests_a_second(testbed.sandbox.segment_url, ["spa_bare"])
        return [
            _sample(OURS, ours.to_last_page_s),
            _sample(DEFAULT, default.to_last_page_s),
            _sample("ours, first job's begin to last page", ours.fetching_s),
            _sample("ours, enqueue to completed", ours.to_end_s),
            _sample(LOOP, loop.seconds),
            _sample(DLT, dlt.seconds),
            _sample(BARE, bare_s),
            _sample(f"one page a job, arq's defaults ({ARQ_PAGES} pages)", arq_s, ARQ_PAGES),
        ]


def _sample(label: str, seconds: float, pages: int = PAGES) -> Sample:
    return Sample(label, seconds, "s", seconds / (pages * LATENCY_S), "pages × latency")


FIGURE = Chain()
