"""The account: nothing is bought that it cannot pay for, its bill is compared, and the log says what was charged."""

from __future__ import annotations

import contextlib
from io import StringIO
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from producer.cli.views.sync_report import sync_report
from producer.sandbox import Fault, Sandbox, SandboxOptions
from producer.sandbox.faults import Kind
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import RECIPE, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE as RECIPE_RULES
from worker.documents.sync_document import sync_document
from worker.jobs.composition.finalize_jobs import usage_reader
from worker.jobs.services import WorkerServices
from worker.models.sync import Sync, SyncState
from worker.settings import load_settings
from worker.store import StorePool
from worker.store.ratelimit.limiter import MustWait


def writes(scenario: Scenario) -> int:
    return len(scenario.sandbox.posts) + len(scenario.sandbox.patches)


def assert_failed(sync: Sync, code: str) -> str:
    assert sync.state is SyncState.FAILED, sync.error
    assert sync.error
    assert (sync.error.code, sync.error.resumable) == (code, True)
    return sync.error.message


async def spend(scenario: Scenario) -> None:
    """Somebody else buys a persona with the same account."""
    url, headers = f"{scenario.sandbox.mavera_url}/personas", {"Authorization": "Bearer mvra_test_sandbox"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"name": "Made by hand"}, headers=headers) as response,
    ):
        assert response.status == 201


def shown(sync: Sync) -> str:
    """The report of a sync as text."""
    console = Console(width=300, file=StringIO(), force_terminal=False)
    console.print(*sync_report(sync), sep="\n")
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("options", "available"),
    [
        ({"credits": 899}, 899),
        ({"credits": 0}, 0),
        ({"credits": 5000, "usage_limit": 800}, 800),
        ({"credits": 100, "auto_recharge": 5000, "usage_limit": 600}, 600),
    ],
)
async def test_what_the_account_cannot_pay_for_is_refused_before_the_first_post(
    session_redis: RedisServer, start_worker: Start, options: dict[str, int], available: int
) -> None:
    async with start_scenario(session_redis, start_worker, **options) as scenario:
        scenario.worker()
        sync = await scenario.sync()
        message = assert_failed(sync, "insufficient_credits")
        assert f"3 personas would cost 900 credits, and the Mavera account can spend {available:,}" in message
        assert writes(scenario) == 0

        scenario.sandbox.set_options(credits=900, usage_limit=None)
        await scenario.client.resume(sync.id)
        await scenario.assert_bought_once(await scenario.ended(sync))
        assert scenario.sandbox.journal.count("segment.page") == 1


@pytest.mark.parametrize("options", [{"credits": 900}, {"credits": 100, "auto_recharge": 500}, {"usage_limit": 900}])
async def test_an_account_that_can_pay_or_recharges_is_not_stopped(
    session_redis: RedisServer, start_worker: Start, options: dict[str, int]
) -> None:
    async with start_scenario(session_redis, start_worker, **options) as scenario:
        scenario.worker()
        await scenario.assert_bought_once(await scenario.sync())


async def test_only_what_is_missing_has_to_be_paid_for(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, credits=1200) as scenario:
        scenario.worker()
        first = await scenario.sync()
        assert scenario.sandbox.delete_persona(first.outcomes[0].persona_id)
        again = await scenario.sync()  # one persona for the 300 that are left
        assert again.state is SyncState.COMPLETED, again.error
        assert (again.credits, scenario.sandbox.credits) == (300, 0)
        for outcome in again.outcomes[:2]:
            assert scenario.sandbox.delete_persona(outcome.persona_id)
        posts = len(scenario.sandbox.posts)
        assert_failed(await scenario.sync(), "insufficient_credits")
        assert len(scenario.sandbox.posts) == posts


@pytest.mark.parametrize(
    ("kind", "retry_after"), [("status", None), ("status", "6"), ("html", None), ("invalid_json", None), ("drop", None)]
)
async def test_an_account_without_figures_stops_no_sync(
    session_redis: RedisServer, start_worker: Start, kind: Kind, retry_after: str | None
) -> None:
    async with start_scenario(session_redis, start_worker, credits=900) as scenario:
        fault = Fault("mavera", kind, route="usage", status=429 if retry_after else 404, retry_after=retry_after)
        scenario.sandbox.add_fault(fault)
        worker = scenario.worker()
        sync = await scenario.sync()
        await scenario.assert_bought_once(sync)
        assert sync.account
        assert (sync.account.billed, sync.account.difference) == (None, None)
        assert "account" not in sync_document(sync)
        assert worker.text().count("GET /usage") == 1
        plan = (await scenario.sync(plan_only=True)).plan
        assert plan
        assert plan.account
        assert "GET /usage" in plan.account.text


async def test_the_plan_says_what_the_account_has_left(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, credits=500) as scenario:
        scenario.worker()
        sync = await scenario.sync(plan_only=True)
        assert sync.plan
        assert sync.plan.account
        assert (sync.plan.account.available, sync.plan.exceeds_account) == (500, True)
        report_text = shown(sync)
        assert "500 of 500 credits left until" in report_text
        assert "auto-recharge off" in report_text
        assert "insufficient_credits" in report_text
        found: Any = sync_document(sync)
        assert (found["account"]["remaining"], found["account"]["auto_recharge"]) == (500, False)
        scenario.sandbox.set_options(credits=5000)
        enough = await scenario.sync(plan_only=True)
        assert enough.plan
        assert not enough.plan.exceeds_account
        assert "insufficient_credits" not in shown(enough)


async def test_a_bill_that_agrees_is_kept_without_a_word(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, credits=5000) as scenario:
        worker = scenario.worker()
        sync = await scenario.sync()
        found: Any = sync_document(sync)
        assert {key: found["account"][key] for key in ("used_before", "used_after", "charged", "difference")} == {
            "used_before": 0,
            "used_after": 900,
            "charged": 900,
            "difference": 0,
        }
        assert found["account"]["remaining"] == 4100
        assert "Mavera counted" not in shown(sync)
        assert "Mavera counted" not in worker.text()
        unchanged = await scenario.sync()
        assert unchanged.account is None  # nothing was sent, so nothing is compared
        assert "account" not in sync_document(unchanged)


async def test_a_difference_between_the_bill_and_ours_is_reported(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker, credits=5000) as scenario:
        worker = scenario.worker()
        scenario.sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        await spend(scenario)
        scenario.sandbox.clear_faults()
        sync = await scenario.ended(sync)
        assert sync.account
        assert (sync.account.billed, sync.account.charged, sync.account.difference) == (1200, 900, 300)
        assert "Mavera counted 1,200 credits during this sync, but the sync was charged 900." in shown(sync)
        assert "WARNING" in next(line for line in worker.text().splitlines() if "Mavera counted 1,200" in line)


async def test_every_purchase_update_refusal_and_end_is_a_line_in_the_log(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        worker = scenario.worker()
        scenario.sandbox.add_fault(Fault("mavera", "status", route="create", status=400, at=3))
        sync = await scenario.sync()
        lines = [line for line in await _logged(worker, "sync failed", sync.id) if "INFO" in line and sync.id in line]
        for outcome in sync.outcomes:
            (line,) = [line for line in lines if outcome.persona_id in line]
            for part in ("persona created", "space spa", f"cluster {outcome.cluster}", "300 credits"):
                assert part in line
        (refused,) = [line for line in lines if "persona refused" in line]
        assert "mavera_validation" in refused
        (ended,) = [line for line in lines if "sync failed" in line]
        for part in ("space spa", "mavera_validation", "2 created", "600 credits"):
            assert part in ended

        scenario.sandbox.clear_faults()
        done = await scenario.sync(min_cluster_size=1)
        await _logged(worker, "sync completed", done.id, "300 credits")
        persona_id = done.outcomes[0].persona_id
        await scenario.client.wait((await scenario.enqueue(plan_only=True)).id)
        await _logged(worker, "sync planned")
        await scenario.pool.flushall()
        again = await scenario.sync()
        assert again.state is SyncState.COMPLETED, again.error
        await _logged(worker, "persona updated", persona_id)


async def test_the_end_of_a_cancelled_sync_is_a_line_too(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        worker = scenario.worker()
        scenario.sandbox.add_fault(Fault("mavera", "hold", route="create", at=2))
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("mavera.create", 2)
        await scenario.client.cancel(sync.id)
        scenario.sandbox.clear_faults()
        await _logged(worker, "sync cancelled", sync.id)


async def _logged(worker: WorkerProcess, *parts: str) -> list[str]:
    """Waits for a line with all parts, because a sync ends before its line is written. Returns all lines."""

    async def is_logged() -> bool:
        return any(all(part in line for part in parts) for line in worker.text().splitlines())

    await until(is_logged)
    return worker.text().splitlines()


async def test_the_rate_of_the_account_is_used_unless_mavera_rate_is_set_lower(
    session_redis: RedisServer, real_pool: StorePool
) -> None:
    async with (
        Sandbox(SandboxOptions({}, mavera_limit=240)) as box,
        aiohttp.ClientSession(auto_decompress=False) as session,
    ):
        for given, account, expected in (({}, 240, 240), ({"mavera_rate": 30}, 240, 30), ({}, 40, 40)):
            await real_pool.flushall()
            box.set_options(mavera_limit=account)
            settings = load_settings(
                mavera_api_key="mvra_test_sandbox", mavera_base_url=box.mavera_url, mavera_gap_s=0, **given
            )
            services = WorkerServices(settings, real_pool, session)
            usage = await usage_reader(services, services.mavera_caller()).read()
            assert usage
            assert usage.requests_per_minute == account
            sent = 1
            with contextlib.suppress(MustWait):
                while sent <= 240:
                    await services.mavera_limiter.wait_for_slot(0.5)
                    sent += 1
            assert sent == int(expected * 0.98)


async def test_the_plan_names_the_persona_that_a_renamed_cluster_leaves_behind(
    session_redis: RedisServer, start_worker: Start
) -> None:
    renamed = RECIPE_RULES.model_copy(
        update={
            "clusters": tuple(
                one.model_copy(update={"key": "expansion"}) if one.key == "growth" else one
                for one in RECIPE_RULES.clusters
            )
        }
    )
    async with start_scenario(session_redis, start_worker, {"spa": RECIPE}) as scenario:
        worker = scenario.worker()
        first = await scenario.sync()
        (growth,) = [outcome.persona_id for outcome in first.outcomes if outcome.cluster == "growth"]
        none = await scenario.sync(plan_only=True)
        assert none.plan
        assert none.plan.orphans == ()
        sync = await scenario.sync(plan_only=True, rules=renamed)
        assert sync.plan
        assert [(one.persona_id, one.cluster) for one in sync.plan.orphans] == [(growth, "growth")]
        report_text = shown(sync)
        assert "segment-personas personas rename spa growth expansion" in report_text
        found: Any = sync_document(sync)
        assert found["orphans"] == [{"persona_id": growth, "cluster": "growth"}]
        await scenario.sync(rules=renamed)  # the log warns a user who continues
        assert any("WARN" in line and growth in line for line in worker.text().splitlines())
        # Without the records it is still named, though its key is not known.
        for name, record in (await scenario.persona_store().all_records()).items():
            assert await scenario.persona_store().delete_record(name, record)
        lost = await scenario.sync(plan_only=True, rules=renamed)
        assert lost.plan
        assert [(one.persona_id, one.cluster) for one in lost.plan.orphans] == [(growth, "")]
        assert growth in shown(lost)
