"""The limit of wrong bearer tokens, on a clock that does not move."""

from __future__ import annotations

import pytest

from producer.api.access import wrong_tokens
from producer.api.access.wrong_tokens import WrongTokens


def test_an_address_has_its_wrong_tokens_a_minute() -> None:
    now = 0.0
    limiter = WrongTokens(10, lambda: now)
    assert [limiter.count("192.0.2.1") for _ in range(10)] == [0] * 10
    assert limiter.count("192.0.2.1") == pytest.approx(6)
    assert limiter.count("192.0.2.2") == 0
    now = 5.0
    assert limiter.count("192.0.2.1") == pytest.approx(1)  # a refused one is not counted
    now = 6.0
    assert limiter.count("192.0.2.1") == 0
    assert limiter.count("192.0.2.1") == pytest.approx(6)
    now = 70.0
    assert [limiter.count("192.0.2.1") for _ in range(10)] == [0] * 10


def test_addresses_of_one_client_count_as_one() -> None:
    limiter = WrongTokens(1, lambda: 0.0)
    for first, second in (
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"),
        ("192.0.2.7", "::ffff:192.0.2.7"),
        ("fe80::1%eth0", "fe80::2%eth0"),
        ("", ""),
    ):
        assert limiter.count(first) == 0
        assert limiter.count(second) > 0
    assert limiter.count("2001:db8:1:3::1") == 0


def test_few_addresses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_tokens, "MAX_ADDRESSES", 100)
    now = 0.0
    limiter = WrongTokens(10, lambda: now)
    for number in range(1000):
        limiter.count(f"10.0.{number // 250}.{number % 250}")
        now += 0.001
    assert len(limiter) == 100
    for _ in range(11):
        refused = limiter.count("10.0.3.249")
    assert refused > 0
    now = 100.0
    for number in range(60):
        limiter.count(f"10.1.0.{number}")
    assert len(limiter) <= 60
