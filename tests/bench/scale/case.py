"""One way to read a space of one size: predicted, and simulated."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from tests.bench.scale.inputs import Inputs, Way
from tests.bench.scale.prediction import Prediction, predict
from tests.bench.scale.simulation import Simulated, simulate


@dataclass(frozen=True)
class Case:
    """One way to read a space of one size."""

    way: Way
    profiles: int
    predicted: Prediction
    simulated: Simulated

    @property
    def difference(self) -> float:
        """How much longer the simulation took than predicted, as a share."""
        return self.simulated.seconds / self.predicted.seconds - 1


def run(way: Way, profiles: int, inputs: Inputs) -> Case:
    """Predicts and simulates; says on standard error how long the latter took."""
    start = time.monotonic()
    simulated = simulate(way, profiles, inputs)
    took_s = time.monotonic() - start
    print(f"{way}, {profiles:,} profiles: simulated in {took_s:.0f} s", file=sys.stderr, flush=True)
    return Case(way, profiles, predict(way, profiles, inputs), simulated)
