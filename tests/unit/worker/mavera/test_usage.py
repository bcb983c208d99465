"""The usage of an account is read whatever its form, and one that cannot be read stops no sync."""

from __future__ import annotations

from datetime import date
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.cli.commands.doctor.findings import judge_usage
from producer.sandbox import Fault, Sandbox, SandboxOptions
from tests.support.mavera_client import mavera_client, permit, persona_payload
from tests.support.servers.web_server import answer, serving
from worker.errors import ResumableStop, Retry
from worker.mavera import Usage
from worker.mavera.usage import read_usage

DOCUMENTED: dict[str, Any] = {
    "object": "usage",
    "billing_period": {"start": "2026-03-01T00:00:00Z", "end": "2026-03-31T23:59:59Z"},
    "credits": {"used": 1300, "included": 2500, "remaining": 1200, "percentage_used": 52},
    "rate_limit": {"requests_per_minute": 120},
    "auto_recharge": {"enabled": False, "threshold": 100, "credits_to_add": 500},
    "limits": {"budget_alert": 2000, "usage_limit": None},
}


def test_the_documented_body_is_read() -> None:
    usage = read_usage(DOCUMENTED)
    assert usage == Usage(
        *(1300, 2500, 1200, date(2026, 3, 1), date(2026, 3, 31)),
        requests_per_minute=120,
        auto_recharge=False,
        budget_alert=2000,
    )
    assert usage.describe() == "1,200 of 2,500 credits left until 31 March, auto-recharge off"
    assert usage.available == 1200


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], "usage", 3, {}, {"credits": None}, {"credits": [1]}, {"data": None}),
        {"credits": {"used": -1, "included": "many", "remaining": True}, "billing_period": {"end": "soon"}},
        {"error": {"message": "no such route"}},
    ],
)
def test_an_empty_body_is_not_read_as_usage(body: object) -> None:
    assert read_usage(body) is None


@pytest.mark.parametrize(
    ("changes", "available"),
    [
        ({"auto_recharge": {"enabled": True}}, None),
        ({"auto_recharge": None}, None),  # whether it recharges is not known
        ({"credits": {"used": 2400, "included": 2500}}, 100),
        ({"credits": {"used": 2600, "included": 2500}}, 0),
        ({"credits": {"used": 5, "included": None, "remaining": None}}, None),
        ({"credits": {"used": "1300", "included": "2500", "remaining": "1200"}}, 1200),
        ({"credits": {"used": 1300.0, "remaining": 1200.5}}, 1200),
        ({"limits": {"usage_limit": 1500}}, 200),
        ({"limits": {"usage_limit": 1000}}, 0),
        ({"limits": {"usage_limit": 90}}, 1200),  # a percentage, or nothing that one persona fits into
        ({"auto_recharge": {"enabled": True}, "limits": {"usage_limit": 2000}}, 700),
    ],
)
def test_what_can_be_spent(changes: dict[str, Any], available: int | None) -> None:
    usage = read_usage(DOCUMENTED | changes)
    assert usage is not None
    assert usage.available == available


@pytest.mark.parametrize(
    "end", ["2026-03-31", "2026-03-31T00:00:00+00:00", "2026-03-31T20:00:00-03:00", 1774915200, 1774915200000]
)
def test_the_end_of_the_period_is_read_in_any_usual_form(end: object) -> None:
    usage = read_usage(DOCUMENTED | {"billing_period": {"end": end}})
    assert usage is not None
    assert usage.period_end == date(2026, 3, 31)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(DOCUMENTED)), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*DOCUMENTED, "data"]), _JSON))
def test_no_body_is_an_error(body: dict[str, Any]) -> None:
    usage = read_usage(body)
    if usage is not None:
        assert usage.describe()
        assert usage.available is None or usage.available >= 0


@pytest.mark.parametrize("status", [403, 404, 405, 410, 501])
async def test_an_account_without_the_route_has_no_usage(status: int) -> None:
    async with serving(answer(status)) as server, mavera_client(server.url) as mavera:
        assert await mavera.usage() is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"credits": {}}', b'{"object": "list", "data": []}'])
async def test_an_odd_body_is_not_read_as_usage(body: bytes) -> None:
    async with serving(answer(200, body)) as server, mavera_client(server.url) as mavera:
        assert await mavera.usage() is None


async def test_a_wrong_key_and_an_outage_differ_from_a_missing_route() -> None:
    async with serving(answer(401)) as server, mavera_client(server.url) as mavera:
        with pytest.raises(ResumableStop) as stopped:
            await mavera.usage()
        assert stopped.value.code == "mavera_unauthorized"
    async with serving(answer(503)) as server, mavera_client(server.url) as mavera:
        with pytest.raises(Retry):
            await mavera.usage()


async def test_the_sandbox_counts_what_is_used() -> None:
    async with (
        Sandbox(SandboxOptions({}, credits=2500, mavera_limit=240)) as box,
        mavera_client(box.mavera_url) as mavera,
    ):
        await mavera.create(persona_payload(), permit)
        usage = await mavera.usage()
        assert usage is not None
        assert (usage.used, usage.included, usage.remaining) == (300, 2500, 2200)
        assert (usage.requests_per_minute, usage.auto_recharge) == (240, False)
        assert usage.period_start is not None
        assert usage.period_end is not None
        assert 28 <= (usage.period_end - usage.period_start).days <= 31


async def test_the_sandbox_recharges_and_keeps_a_usage_limit() -> None:
    options = SandboxOptions({}, credits=100, auto_recharge=500, usage_limit=600)
    async with Sandbox(options) as box, mavera_client(box.mavera_url) as mavera:
        await mavera.create(persona_payload(), permit)
        await mavera.create(persona_payload(), permit)
        usage = await mavera.usage()
        assert usage is not None
        assert (usage.auto_recharge, usage.available) == (True, 0)
        with pytest.raises(ResumableStop) as stopped:
            await mavera.create(persona_payload(), permit)
        assert stopped.value.code == "insufficient_credits"
        assert len(box.personas) == 2


async def test_the_sandbox_can_lack_the_route_and_answer_oddly() -> None:
    async with Sandbox(SandboxOptions({}, usage_route=False)) as box, mavera_client(box.mavera_url) as mavera:
        assert await mavera.usage() is None
        assert len(box.personas) == 0
    async with Sandbox(SandboxOptions({}, faults=(Fault("mavera", "html", route="usage"),))) as box:
        async with mavera_client(box.mavera_url) as mavera:
            assert await mavera.usage() is None
        async with aiohttp.ClientSession() as session, session.get(f"{box.mavera_url}/usages") as response:
            assert response.status == 404 or response.status == 401


def test_the_doctor_names_what_is_left() -> None:
    usage = read_usage(DOCUMENTED)
    found = judge_usage(usage)
    assert [one.verdict for one in found] == ["ok", "ok"]
    assert "1,200 of 2,500 credits left until 31 March" in found[0].found
    assert "2,000" in found[1].found


def test_the_doctor_warns_of_an_account_that_cannot_pay_for_a_persona() -> None:
    (found,) = judge_usage(read_usage({"credits": {"used": 300, "included": 500}, "auto_recharge": {"enabled": False}}))
    assert found.verdict == "warn"
    assert "200 of 500" in found.found
    assert judge_usage(None)[0].verdict == "ok"
