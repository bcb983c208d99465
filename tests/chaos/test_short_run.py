"""A short run of the chaos driver; `make chaos ROUNDS=100` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.rounds import Round


@pytest.mark.parametrize("seed", [7, 9, 12])
async def test_whatever_fails_every_profile_counts_once_and_every_cluster_has_one_persona(
    seed: int, tmp_path: Path
) -> None:
    report = await Round(seed, tmp_path).run()
    assert report.faults.total() > 0
