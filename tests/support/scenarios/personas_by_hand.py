"""The commands of `personas` against a scenario, and personas that were made by hand at Mavera."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from producer.cli.commands import personas
from producer.cli.terminal import stderr
from producer.persona_catalog import ClusterAddress
from producer.sandbox import Persona
from tests.support.scenarios.scenario import Scenario
from worker.models.sync import Sync, SyncState
from worker.settings import load_settings

GROWTH = ClusterAddress("spa", "growth")
BY_HAND = {"name": "Our growth customers", "description": "Written by hand.", "category": "mine"}


class PersonaCommands:
    """Runs the commands against a scenario and keeps their output: `out` for programs, `err` for people."""

    def __init__(self, scenario: Scenario, capsys: pytest.CaptureFixture[str]) -> None:
        names = ("REDIS_URL", "MAVERA_BASE_URL", "MAVERA_API_KEY")
        self.settings = load_settings(**{name.lower(): scenario.environment()[name] for name in names})
        self._capsys = capsys
        self.out = self.err = ""

    async def __call__(
        self, command: Callable[..., Awaitable[int]], *arguments: Any, key: bool = True, **options: Any
    ) -> None:
        settings = self.settings if key else self.settings.model_copy(update={"mavera_api_key": None})
        assert await command(settings, stderr(), *arguments, **options) == 0
        self.out, self.err = self._capsys.readouterr()

    async def records(self, space_id: str | None = None) -> list[dict[str, Any]]:
        """What `personas list --json` prints."""
        await self(personas.list_personas, space_id, json=True)
        found = json.loads(self.out)
        assert isinstance(found, list)
        return found


def actions(sync: Sync) -> dict[str, str]:
    assert sync.state is SyncState.COMPLETED, sync.error
    return {one.cluster: one.action for one in sync.outcomes}


def by_hand(scenario: Scenario, **fields: object) -> Persona:
    """A persona that was made by hand at Mavera."""
    return scenario.sandbox.add_persona({**BY_HAND, **fields})
