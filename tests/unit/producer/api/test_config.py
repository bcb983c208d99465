"""Where a server may listen without tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from producer.api.config import ApiConfig, is_loopback
from worker.errors import ConfigurationError


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_this_machine_needs_no_tokens(host: str) -> None:
    assert is_loopback(host)
    assert ApiConfig(host).host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "localhost.example.com", "", "127.0.0.1.nip.io"]
)
def test_another_host_needs_tokens(host: str) -> None:
    with pytest.raises(ConfigurationError, match="this machine only") as refused:
        ApiConfig(host)
    assert "API_TOKENS_FILE" in refused.value.hint
    assert ApiConfig(host, tokens_file=Path("tokens.toml")).host == host
