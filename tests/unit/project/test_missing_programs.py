"""What the tests do on a machine that lacks redis-server, libfaketime or Chromium: most pass with `make` and Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.http_api.web_browser import browser_binary
from tests.support.servers import redis_server
from tests.support.servers.redis_server import RedisServer, faketime_library, server_binary


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine without either, not in CI."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(redis_server, "LIBRARY_FOLDERS", (tmp_path,))
    monkeypatch.delenv("CI", raising=False)
    return monkeypatch


def test_without_redis_server_the_wheels_valkey_answers(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        with server.client() as client:
            assert "valkey_version" in client.info("server")
    finally:
        server.kill()
    assert server.kind == "valkey"


def test_a_redis_server_on_the_path_comes_first(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.touch(0o755)
    assert server_binary("redis") == (str(program), "redis")


def test_without_libfaketime_a_test_of_clocks_is_skipped_with_a_reason(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.skip.Exception, match="apt-get install libfaketime"):
        faketime_library()
    with pytest.raises(RuntimeError, match="chromium"):
        browser_binary()


def test_without_a_browser_a_test_of_the_page_is_skipped_with_a_reason(bare: pytest.MonkeyPatch) -> None:
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        browser_binary()


def test_in_ci_a_missing_program_is_an_error(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("CI", "1")
    with pytest.raises(RuntimeError, match="redis-server"):
        server_binary("redis")
    with pytest.raises(RuntimeError, match="libfaketime"):
        faketime_library()
    with pytest.raises(RuntimeError, match="chromium"):
        browser_binary()
