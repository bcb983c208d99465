"""What a worker counts: events, in a separate registry, served only if a port is set."""

from __future__ import annotations

import inspect
import subprocess
import sys

import aiohttp
import pytest

from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.project.error_codes import sync_error_codes
from tests.support.project.metrics import count_one_of_each
from tests.support.servers.port import port_of_ones_own
from tests.support.syncs.syncs import Syncs
from worker.errors import ConfigurationError, LeaseLost
from worker.jobs.composition.background import build_watchdog
from worker.jobs.job_runner import SyncJob, run_job
from worker.jobs.process.worker_process import metrics_endpoint
from worker.metrics.failure_codes import FAILURE_CODES
from worker.metrics.prometheus import PrometheusMetrics
from worker.metrics.server import metrics_server
from worker.metrics.worker_metrics import WorkerMetrics
from worker.settings import load_settings
from worker.store import StorePool, keys


def test_every_event_is_counted() -> None:
    events = {name for name, _ in inspect.getmembers(WorkerMetrics, inspect.isfunction)}
    assert events <= set(vars(PrometheusMetrics))
    metrics = PrometheusMetrics()
    count_one_of_each(metrics)
    count_one_of_each(metrics)
    value = metrics.registry.get_sample_value
    assert value("segment_personas_profiles_total") == 400
    assert value("segment_personas_credits_charged_total") == 600
    assert value("segment_personas_guard_stops_total", {"code": "guard_profiles"}) == 2
    assert value("segment_personas_request_seconds_count", {"api": "segment", "status": "200"}) == 2


def test_a_failure_that_is_not_a_guards_is_not_a_guard_stop() -> None:
    metrics = PrometheusMetrics()
    metrics.count_failure("worker_lost")
    assert metrics.registry.get_sample_value("segment_personas_guard_stops_total", {"code": "worker_lost"}) is None


def test_every_error_code_of_a_sync_begins_at_zero() -> None:
    assert set(FAILURE_CODES) == sync_error_codes()
    registry = PrometheusMetrics().registry
    assert registry.get_sample_value("segment_personas_sync_failures_total", {"code": "persona_in_doubt"}) == 0
    assert registry.get_sample_value("segment_personas_guard_stops_total", {"code": "guard_profiles"}) == 0


async def test_metrics_are_served_on_the_port_of_the_settings(real_pool: StorePool) -> None:
    port = port_of_ones_own()
    settings = load_settings(metrics_port=port, redis_url="redis://localhost")
    async with metrics_endpoint(settings, real_pool) as metrics, aiohttp.ClientSession() as session:
        metrics.count_page(7)
        async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=")
            assert "segment_personas_profiles_total 7.0" in await response.text()
        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
            assert await response.json() == {"status": "ok"}
        with pytest.raises(ConfigurationError, match="Cannot serve metrics"):
            async with metrics_server("127.0.0.1", port, lambda: None):  # type: ignore[arg-type, return-value]
                pass


def test_a_worker_without_a_port_does_not_load_the_client_of_prometheus() -> None:
    program = "import sys, worker.jobs.process.worker_process; print('prometheus_client' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


async def test_revivals_and_lost_syncs_are_counted_by_the_watchdog_that_found_them(fake_pool: StorePool) -> None:
    async with aiohttp.ClientSession() as session:
        services = services_for(fake_pool, session, FakeTime(fake_pool), "http://127.0.0.1:1", max_revivals=1)
        services.metrics = metrics = PrometheusMetrics()
        syncs = Syncs(fake_pool)
        await syncs.create()
        for _ in range(2):
            await fake_pool.delete(services.queue.name, keys.QUEUE)
            await fake_pool.zadd(keys.DUE, {"s1": 1})
            await build_watchdog(services).check_due()
    value = metrics.registry.get_sample_value
    assert value("segment_personas_revivals_total", {"kind": "sync"}) == 1
    assert value("segment_personas_sync_failures_total", {"code": "worker_lost"}) == 1


async def test_a_job_that_lost_its_sync_is_a_refused_commit(fake_pool: StorePool) -> None:
    syncs, metrics = Syncs(fake_pool), PrometheusMetrics()
    await syncs.create()

    class Late:
        async def run(self) -> None:
            raise LeaseLost("taken over")

    job = SyncJob(syncs.jobs, "s1", 1, "walk", heartbeat_s=60, build=lambda *_: Late())
    await run_job(job, metrics)
    assert metrics.registry.get_sample_value("segment_personas_commits_refused_total") == 1
