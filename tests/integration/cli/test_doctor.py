"""The doctor: looks at everything, creates nothing, and says of each thing what to do."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from producer.cli.commands.doctor.checks import doctor, run_checks
from producer.cli.commands.doctor.findings import Finding
from producer.cli.commands.suggest import Sample, run_suggest
from producer.cli.terminal import stderr
from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec
from producer.sandbox.faults import Kind
from tests.support.processes.command_line import cli
from tests.support.processes.workers import environment
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.scripted_segment import Call, Refusal, people, rows, scripted
from worker.jobs.store_factories import worker_registry
from worker.settings import Settings, load_settings
from worker.store import StorePool, keys, redis_pool
from worker.store.connection.health import redis_health
from worker.store.connection.pool import closing


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    spaces = {"spa_1": SpaceSpec(300), "empty": SpaceSpec(0)}
    async with Sandbox(SandboxOptions(spaces, mavera_limit=60)) as box:
        yield box


@pytest.fixture
def settings(session_redis: RedisServer, real_pool: StorePool, sandbox: Sandbox) -> Settings:
    return load_settings(
        redis_url=session_redis.url,
        segment_token="sandbox",
        segment_base_url=sandbox.segment_url,
        segment_space_id="spa_1",
        mavera_api_key="mvra_test_sandbox",
        mavera_base_url=sandbox.mavera_url,
    )


async def found(settings: Settings, space_id: str | None = None) -> dict[str, list[Finding]]:
    result: dict[str, list[Finding]] = {}
    async for finding in run_checks(settings, space_id):
        result.setdefault(finding.subject, []).append(finding)
    return result


async def test_a_good_setup_is_found_good_and_nothing_is_created(
    settings: Settings, real_pool: StorePool, sandbox: Sandbox
) -> None:
    await worker_registry(real_pool, settings).heartbeat("host", 7)
    before = await real_pool.dbsize()
    findings = await found(settings)
    assert {finding.verdict for group in findings.values() for finding in group} == {"ok"}
    assert [finding.found for finding in findings["Redis"][1:]] == [
        "its append-only file is on",
        "it evicts nothing (noeviction)",
    ]
    assert findings["Workers"][0].found == "1 alive: host:7"
    assert "one page: 200 profiles" in findings["Segment"][0].found
    assert findings["Traits"][0].found == "ltv or lifetime_value: in 200 of 200 profiles"
    assert "60 requests a minute (tier Starter)" in findings["Mavera"][0].found
    # Nothing but the shared limit, which its requests used, and which expires.
    shared = [keys.limit("segment:spa_1"), f"{keys.limit('segment:spa_1')}:log"]
    assert await real_pool.exists(shared[0])
    assert -1 not in [await real_pool.pttl(name) for name in shared]
    await real_pool.delete(*shared)
    assert await real_pool.dbsize() == before
    assert findings["Strategy"][0].found.startswith("a page takes ")
    assert dict(sandbox.journal.arrived) == {
        "segment.page": 4,
        "segment.listing": 3,
        "mavera.list": 2,
        "mavera.usage": 1,
    }


async def test_the_traits_of_a_clusters_file_are_looked_for(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        """name = "mine"
        traits = [
            { name = "tier", keys = ["engagement_tier"], type = "category" },
            { name = "seats", type = "number" },
        ]
        clusters = [{ key = "high", when = { trait = "tier", eq = "high" } }, { key = "rest" }]
        """
    )
    assert await doctor(settings, "spa_1", json=False, clusters=str(file)) == 0
    shown = capsys.readouterr().out
    assert "engagement_tier: in 200 of 200 profiles" in shown
    assert "seats: in 0 of 200 profiles" in shown


async def test_the_command_prints_each_finding_and_exits_with_1_if_one_failed(
    session_redis: RedisServer, real_pool: StorePool, sandbox: Sandbox
) -> None:
    env = environment(session_redis.url, sandbox)
    done = await cli("doctor", "spa_1", env=env)
    assert done.code == 0
    assert "ok    Segment" in done.out
    assert "warn  Workers    no worker is running" in done.out
    assert "→ Start one: " in done.out
    done = await cli("doctor", "spa_1", "--json", env={**env, "SEGMENT_TOKEN": "wrong"})
    assert done.code == 1
    report = json.loads(done.out)
    assert report["ok"] is False
    (failed,) = [finding for finding in report["findings"] if finding["verdict"] == "fail"]
    assert "401 The access token is missing or not valid (Request-Id req_" in failed["found"]
    assert "Check SEGMENT_TOKEN" in failed["advice"]


async def test_malformed_settings_and_files_are_findings_beside_the_others(
    session_redis: RedisServer, real_pool: StorePool, sandbox: Sandbox
) -> None:
    env = {
        **environment(session_redis.url, sandbox),
        "SEGMENT_RATE": "fast",
        "STALL_S": "1",
        "HEARTBEAT_S": "8",
        "LOG_LEVEL": "LOUD",
        "CLUSTERS_FILE": "/none.toml",
        "SEGMNT_TOKEN": "x",
    }
    done = await cli("doctor", "spa_1", "--json", env=env)
    assert done.code == 1
    findings = {finding["id"]: finding for finding in json.loads(done.out)["findings"]}
    failed = {name for name, finding in findings.items() if finding["verdict"] == "fail"}
    assert {"settings.malformed.SEGMENT_RATE", "settings.malformed.LOG_LEVEL", "clusters.file"} <= failed
    assert any("STALL_S" in findings[name]["found"] for name in failed)
    assert findings["settings.unknown.SEGMNT_TOKEN"]["verdict"] == "warn"
    assert "CLUSTERS_FILE" in findings["clusters.file"]["found"]
    assert {"redis.connection", "segment.access", "mavera.access", "traits.ltv"} <= findings.keys()
    assert failed.isdisjoint({"redis.connection", "segment.access", "mavera.access"})


async def test_each_finding_has_its_own_id(settings: Settings) -> None:
    ids = [finding.id async for finding in run_checks(settings, "spa_1")]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z_]+(\.[\w.-]+)?", name) for name in ids)


async def test_in_this_process_too_the_exit_code_shows_a_failure(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await doctor(settings, "spa_1", json=False) == 0
    assert await doctor(settings, "unknown", json=True) == 1
    assert "404 Space unknown was not found" in capsys.readouterr().out


async def test_what_is_missing_is_named(settings: Settings) -> None:
    bare = settings.model_copy(
        update={"redis_url": None, "segment_token": None, "mavera_api_key": None, "segment_space_id": None}
    )
    findings = await found(bare)
    assert findings["Settings"][0].found == "not set: SEGMENT_TOKEN, MAVERA_API_KEY"
    assert "init" in findings["Settings"][0].advice
    verdicts = {what: group[0].verdict for what, group in findings.items()}
    assert verdicts == {"Settings": "warn", "Redis": "ok", "Segment": "fail", "Mavera": "fail"}
    assert (await found(settings.model_copy(update={"segment_space_id": None})))["Segment"][0].verdict == "warn"


async def test_a_redis_that_cannot_be_used_fails_with_its_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.cli.connect.REDIS_MAX_WAIT_S", 0.1)
    for url, reason in (("redis://127.0.0.1:1", "Redis does not answer"), ("redis://127.0.0.1/x", "REDIS_URL")):
        changed = load_settings(**{**settings.model_dump(), "redis_url": url})
        (finding,) = (await found(changed))["Redis"]
        assert finding.verdict == "fail"
        assert reason in finding.found


async def test_a_spaces_file_is_checked_with_the_token_and_account_of_a_space(
    settings: Settings, sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "spaces.toml"
    path.write_text(f"""
[spaces.spa_1]
token = "sandbox"
base_url = "{sandbox.segment_url}"
account = "emea"
[spaces.empty]
token = "another-token"
account = "apac"
[accounts.emea]
api_key = "mvra_test_sandbox"
[accounts.apac]
api_key = "mvra_test_wrong"
""")
    without = settings.model_copy(
        update={"segment_token": None, "mavera_api_key": None, "segment_space_id": None, "spaces_file": path}
    )
    ids = {finding.id: finding for finding in [one async for one in run_checks(without, "spa_1")]}
    assert [ids[name].verdict for name in ("spaces.file", "settings.required", "segment.access")] == ["ok"] * 3
    assert ids["mavera.access"].verdict == "ok"
    other = {finding.id: finding.verdict for finding in [one async for one in run_checks(without, "empty")]}
    assert (other["segment.access"], other["mavera.access"]) == ("fail", "fail")
    all_accounts = {finding.id: finding.verdict for finding in [one async for one in run_checks(without, None)]}
    assert (all_accounts["mavera.access.emea"], all_accounts["mavera.access.apac"]) == ("ok", "fail")
    assert all_accounts["segment.access"] == "warn"

    path.write_text("[spaces.spa_1]\nrat = 1\n")
    (problem,) = (await found(without, "spa_1"))["Spaces"]
    assert (problem.verdict, problem.id) == ("fail", "spaces.problem.1")
    assert "line 2: spaces.spa_1.rat" in problem.found
    assert "rate" in problem.advice
    unknown = (await found(without.model_copy(update={"spaces_file": tmp_path / "gone"}), None))["Spaces"]
    assert [finding.verdict for finding in unknown] == ["fail"]


async def test_a_redis_that_hides_its_setup_is_not_a_failure(session_redis: RedisServer, real_pool: StorePool) -> None:
    await real_pool.execute_command("ACL", "SETUSER", "guest", "on", ">secret", "~*", "+@all", "-info")
    try:
        url = session_redis.url.replace("//", "//guest:secret@")
        async with closing(redis_pool(url, max_wait_s=5)) as pool:
            health = await redis_health(pool)
        assert (health.version, health.mode, health.append_only, health.eviction_policy) == (None,) * 4
        assert not health.has_run_id
    finally:
        await real_pool.execute_command("ACL", "DELUSER", "guest")


@pytest.mark.parametrize(
    ("space_id", "verdict", "text"),
    [
        ("empty", "warn", "space empty is empty"),
        ("a b", "fail", "'a b' is not a valid space id"),
        ("unknown", "fail", "404 Space unknown was not found"),
    ],
)
async def test_a_space_without_a_first_page_is_reported(
    settings: Settings, space_id: str, verdict: str, text: str
) -> None:
    (finding,) = (await found(settings, space_id))["Segment"]
    assert finding.verdict == verdict
    assert text in finding.found


async def test_a_wrong_mavera_key_and_an_api_that_is_away_fail_with_what_to_do(
    settings: Settings, sandbox: Sandbox
) -> None:
    sandbox.add_fault(Fault("mavera", "status", status=401))
    sandbox.add_fault(Fault("segment", "drop"))
    findings = await found(settings)
    assert findings["Mavera"][0].verdict == findings["Segment"][0].verdict == "fail"
    assert findings["Mavera"][0].advice == "Check MAVERA_API_KEY."
    assert "Check the base URL" in findings["Segment"][0].advice


async def test_a_limit_that_is_used_up_starts_no_search_for_another_address(
    settings: Settings, sandbox: Sandbox
) -> None:
    sandbox.add_fault(Fault("mavera", "status", status=429))
    (finding,) = (await found(settings))["Mavera"]
    assert finding.verdict == "fail"
    assert "limit is used up" in finding.advice


async def test_it_says_what_fan_out_would_bring(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.set_options(latency_s=0.1, listing_latency_s=0.001)
    (finding,) = (await found(settings))["Strategy"]
    assert finding.advice.startswith("To use it: `segment-personas sync --strategy fan-out`")


async def test_a_listing_that_cannot_be_had_is_a_warning(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.add_fault(Fault("segment", "status", route="listing", status=403))
    (finding,) = (await found(settings))["Strategy"]
    assert (finding.verdict, "403" in finding.found) == ("warn", True)


async def test_the_account_is_described_with_a_warning_if_it_cannot_pay(settings: Settings, sandbox: Sandbox) -> None:
    sandbox.set_options(credits=2500)
    (finding,) = (await found(settings))["Credits"]
    assert (finding.verdict, "2,500 of 2,500 credits left" in finding.found) == ("ok", True)
    sandbox.set_options(credits=200)
    (finding,) = (await found(settings))["Credits"]
    assert (finding.verdict, "a persona costs 300" in finding.found) == ("warn", True)


@pytest.mark.parametrize("kind", ["html", "invalid_json", "status"])
async def test_an_account_without_a_usage_answer_is_not_a_failure(
    settings: Settings, sandbox: Sandbox, kind: Kind
) -> None:
    sandbox.add_fault(Fault("mavera", kind, route="usage", status=404))
    (finding,) = (await found(settings))["Credits"]
    assert (finding.verdict, "GET /usage" in finding.found) == ("ok", True)
    assert "the key is good" in (await found(settings))["Mavera"][0].found


async def test_a_list_whose_end_is_in_doubt_is_a_failure(settings: Settings) -> None:
    page = {"data": {"profiles": people(0, 200)}}
    async with scripted({"spa_1": lambda _: page}) as segment:
        findings = await found(settings.model_copy(update={"segment_base_url": segment.url}))
    (finding,) = findings["Segment"]
    assert finding.verdict == "fail"
    assert "data: profiles" in finding.found
    assert "listing_incomplete" in finding.advice


async def test_suggest_asks_within_the_limit_that_workers_share(
    settings: Settings, real_pool: StorePool, sandbox: Sandbox
) -> None:
    assert await run_suggest(settings, stderr(), Sample("spa_1"), json=True) == 0
    assert await real_pool.exists(keys.limit("segment:spa_1"))
    assert sandbox.journal.arrived["segment.page"] == 2


async def test_suggest_continues_at_its_own_pace_without_redis(settings: Settings, sandbox: Sandbox) -> None:
    alone = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})
    assert await run_suggest(alone, stderr(), Sample("spa_1"), json=True) == 0
    assert sandbox.journal.arrived["segment.page"] == 2


async def test_the_dialect_that_auto_has_chosen_is_named_with_its_reason(settings: Settings) -> None:
    def answer(call: Call) -> object:
        if not call.authorization.startswith("Basic "):
            return Refusal(404, b'{"error": {"message": "no such route"}}')
        end = {"next": None, "has_more": False}
        return {"traits": {"ltv": 1}, "cursor": end} if "/traits" in call.path else {"data": rows(0, 5), "cursor": end}

    async with scripted({"spa_1": answer}) as segment:
        auto = settings.model_copy(update={"segment_base_url": segment.url, "segment_dialect": "auto"})
        finding = (await found(auto))["Segment"][0]
    assert finding.verdict == "ok"
    assert "dialect profile-api" in finding.found
    assert "inline does not answer" in finding.found
    assert "404 no such route" in finding.found


async def test_plain_http_to_another_machine_is_a_warning(settings: Settings) -> None:
    unprotected = settings.model_copy(
        update={"segment_token": None, "mavera_api_key": None, "segment_base_url": "http://segment.example"}
    )
    warned = [finding for finding in (await found(unprotected))["Settings"] if "unencrypted" in finding.found]
    assert [finding.verdict for finding in warned] == ["warn"]
    assert "SEGMENT_BASE_URL" in warned[0].found
