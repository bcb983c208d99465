"""A short run of the chaos driver; `make chaos ROUNDS=100` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.rounds import Round
from tests.chaos.runs import RunsRound


@pytest.mark.parametrize("seed", [3, 12])
async def test_faults_of_workers_redis_and_apis_cost_no_page_and_no_second_persona(seed: int, tmp_path: Path) -> None:
    report = await Round(seed, tmp_path, spaces=2, trouble_s=3).run()
    assert report.faults.total() > 0
    assert report.repetitions > 0


async def test_interrupted_or_overlapping_runs_without_redis_buy_once(tmp_path: Path) -> None:
    report = await RunsRound(9, tmp_path, trouble_s=3).run()
    assert report.faults["run"] > 1
