"""What a further trait costs: the same pages folded with the recipe's traits, with one more, and with all there are.

In this process and without input or output, by the processor's time.
"""

from __future__ import annotations

import time
from typing import Literal

from producer.sandbox import SpaceSpec, profiles
from tests.bench.figure import Goal, Plot, Sample
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE, Aggregate, Rules, fold
from worker.clusters.rules.trait import Trait

PAGES, PAGE_SIZE, ROUNDS = 50, 200, 10
PROFILES = PAGES * PAGE_SIZE

FURTHER: dict[str, Literal["number", "category", "boolean", "date"]] = {
    "sessions_last_30_days": "number",
    "country": "category",
    "engagement_tier": "category",
    "newsletter_subscriber": "boolean",
    "last_seen_at": "date",
}

RECIPE_S = f"the recipe's {len(RECIPE.traits)} traits"
ALL = f"all {len(RECIPE.traits) + len(FURTHER)} traits"


class Traits:
    name = "traits"
    title = "Folding a profile: what a further trait costs"
    goals: tuple[Goal, ...] = ()
    opt_in = False
    plot: Plot | None = None

    def measure(self, redis: RedisServer) -> list[Sample]:
        """Each set of traits one after the other, on the same pages."""
        entries = list(profiles(SpaceSpec(PROFILES, "wide")))
        pages = [entries[start : start + PAGE_SIZE] for start in range(0, PROFILES, PAGE_SIZE)]
        base = _fold_us(pages, ())
        samples = [Sample(RECIPE_S, base, "µs a profile")]
        for name, kind in FURTHER.items():
            with_it = _fold_us(pages, (name,))
            samples.append(_sample(f"and {name}, a {kind}", with_it, base))
        return [*samples, _sample(ALL, _fold_us(pages, tuple(FURTHER)), base)]


def _sample(label: str, fold_us: float, base: float) -> Sample:
    return Sample(label, fold_us, "µs a profile", fold_us / base, RECIPE_S)


def _fold_us(pages: list[list[object]], names: tuple[str, ...]) -> float:
    """Microseconds a profile: the fastest of several rounds, since whatever else runs here only adds."""
    further = tuple(Trait(name=name, type=FURTHER[name]) for name in names)
    rules = Rules(name="further", traits=(*RECIPE.traits, *further), clusters=RECIPE.clusters)
    return 1e6 * min(_round_s(pages, rules) for _ in range(ROUNDS)) / PROFILES


def _round_s(pages: list[list[object]], rules: Rules) -> float:
    aggregate = Aggregate()
    start = time.process_time()
    for page in pages:
        fold(aggregate, page, rules, as_of=1_760_000_000.0)
    return time.process_time() - start


FIGURE = Traits()
