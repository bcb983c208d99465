"""The prediction of how it scales: what decides, and that the program itself, in virtual time, agrees."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.bench.scale.case import Case
from tests.bench.scale.inputs import Inputs, Way
from tests.bench.scale.prediction import LATENCY, PROCESSOR, RATE, predict
from tests.bench.scale.report import duration, markdown, table
from tests.bench.scale.simulation import Simulated, simulate

INPUTS = Inputs()


@pytest.mark.parametrize(
    ("way", "inputs", "limit", "seconds"),
    [
        (Way.CHAIN, INPUTS, LATENCY, 5000 * 0.2015),
        (Way.CHAIN, replace(INPUTS, rate=1), RATE, 5000 / 0.96),
        (Way.CHAIN, replace(INPUTS, page_s=0, rate=1e9, fold_s=0.01), PROCESSOR, 5000 * 0.0115),
        (Way.FAN_OUT, INPUTS, LATENCY, 5000 * 0.0415 + 0.4),
        (Way.FAN_OUT, replace(INPUTS, rate=20), RATE, 10_000 / (20 * 0.96) + 0.4),
        (Way.FAN_OUT, replace(INPUTS, fold_s=0.2), PROCESSOR, 5000 * 0.203 / 2 + 0.4),
        (Way.PROFILE_API, INPUTS, RATE, 1_010_000 / 96 / (1 - 0.19 / 20) + 0.19),
        (Way.PROFILE_API, replace(INPUTS, rate=1000), LATENCY, 1_010_000 * 0.15 / 32 / (1 - 0.19 / 20) + 0.19),
        (Way.FILE, INPUTS, PROCESSOR, 4.0),
    ],
)
def test_the_slowest_decides(way: Way, inputs: Inputs, limit: str, seconds: float) -> None:
    predicted = predict(way, 1_000_000, inputs)
    assert predicted.limit == limit
    assert predicted.seconds == pytest.approx(seconds)


@pytest.mark.parametrize("way", list(Way))
@pytest.mark.parametrize(
    "inputs", [INPUTS, Inputs(page_s=0.05, listing_s=0.01, rate=20)], ids=["default", "slow limit"]
)
def test_the_program_in_virtual_time_agrees_with_the_prediction(way: Way, inputs: Inputs) -> None:
    predicted = predict(way, 20_100, inputs)
    simulated = simulate(way, 20_100, inputs)
    assert simulated.seconds == pytest.approx(predicted.seconds, rel=0.03, abs=0.3)
    assert simulated.calls == predicted.calls
    assert 0 < simulated.redis_kib < 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.5, "0.5 s"), (119, "119.0 s"), (600, "10.0 min"), (14_400, "4.0 h"), (501_120, "5.8 days")],
)
def test_a_duration_is_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_report_says_by_how_much_prediction_and_simulation_differ() -> None:
    predicted = predict(Way.CHAIN, 1_000_000, INPUTS)
    case = Case(Way.CHAIN, 1_000_000, predicted, Simulated(predicted.seconds * 1.02, 5000, 5.5))
    text = io.StringIO()
    Console(file=text, width=150).print(table([case]))
    assert "+2.0%" in text.getvalue()
    lines = markdown([case], INPUTS).splitlines()
    assert "| inline, chain | 1,000,000 | 16.8 min | 5,000 | 1 | latency |" in lines
    assert lines[-1].endswith("Simulated times differ by at most 2.0%.")
