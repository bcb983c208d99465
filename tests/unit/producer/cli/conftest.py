"""An environment without any setting."""

from __future__ import annotations

import pytest

from producer.cli import connect
from worker.settings import Settings


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting is set, Redis is soon given up, and output is wide and plain."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(connect, "REDIS_MAX_WAIT_S", 0.1)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
