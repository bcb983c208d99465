"""The rivals do what they are compared with us for."""

from __future__ import annotations

import asyncio

import pytest

from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.bench.figure import BenchError
from tests.bench.rivals import loop_process, recipe


def test_the_recipe_counts_every_profile() -> None:
    entries = list(profiles(SpaceSpec(7, "recipe")))
    assert recipe.cluster([entries[:3], entries[3:]]) == 7  # type: ignore[list-item]
    assert [recipe.classify(entry["traits"]) for entry in entries[:3]] == ["high_value", "growth", "at_risk"]  # type: ignore[index]


async def test_a_loop_in_a_separate_process_reads_a_whole_space() -> None:
    async with Sandbox(SandboxOptions({"spa_1": SpaceSpec(450)})) as box:
        result = await asyncio.to_thread(loop_process.read_space, "requests_loop", box.segment_url, "spa_1")
        assert result.profiles == 450
        assert result.seconds > 0
        with pytest.raises(BenchError, match="404"):
            await asyncio.to_thread(loop_process.read_space, "requests_loop", box.segment_url, "spa_2")
