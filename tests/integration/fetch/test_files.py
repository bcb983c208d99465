"""A file instead of a space: counted exactly, through workers that die, from pipes, and to the same personas."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from producer import SyncRequest
from producer.embedded import embedded_client
from producer.sandbox import Sandbox, SandboxOptions, SpaceSpec, profiles
from tests.support.processes.command_line import Command, cli, shell
from tests.support.processes.workers import environment
from tests.support.scenarios.checks import assert_exact, same_statistics
from tests.support.scenarios.expected_clusters import ExpectedClusters, expected_clusters
from tests.support.scenarios.scenario import Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.clusters import Aggregate
from worker.segment.export_file import open_any_file
from worker.settings import load_settings

pytestmark = pytest.mark.usefixtures("real_pool")

SPEC = SpaceSpec(3000, "mixed", seed=4)
SMALL = SpaceSpec(60, "recipe")


def lines(rows: Iterable[object]) -> bytes:
    """As a warehouse exports them, and dirty."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture(scope="module")
def content() -> bytes:
    return lines(profiles(SPEC))


@pytest.fixture(scope="module")
def expected() -> ExpectedClusters:
    return expected_clusters(profiles(SPEC))


@pytest.fixture
async def scenario(session_redis: RedisServer, start_worker: Start, tmp_path: Path) -> AsyncIterator[Scenario]:
    spaces = {"spa": SPEC}
    async with start_scenario(
        session_redis, start_worker, spaces, settings={"COMMIT_INTERVAL_S": "0.01", "FILES_DIR": str(tmp_path)}
    ) as scenario:
        yield scenario


async def test_a_file_gives_the_same_statistics_as_the_space_and_keeps_its_personas(
    scenario: Scenario, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "profiles.ndjson").write_bytes(content)
    scenario.worker()
    space = await scenario.sync()
    file = await scenario.sync(file="profiles.ndjson")
    assert same_statistics(file.aggregate, space.aggregate)
    assert (file.profiles, file.complete) == (space.profiles, True)
    assert {one.persona_id for one in file.outcomes} == {one.persona_id for one in space.outcomes}
    assert file.credits == 0


async def test_a_file_that_comes_too_late_is_read_on_resume(
    scenario: Scenario, tmp_path: Path, content: bytes, expected: ExpectedClusters
) -> None:
    scenario.worker()
    failed = await scenario.sync(file="profiles.ndjson")
    assert failed.error
    assert (failed.error.code, failed.error.resumable) == ("file_missing", True)
    (tmp_path / "profiles.ndjson").write_bytes(content)
    assert_exact(await scenario.ended(await scenario.client.resume(failed.id)), expected)


async def test_workers_read_no_file_unless_they_were_given_the_folder(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "profiles.ndjson").write_bytes(lines(profiles(SMALL)))
    scenario.worker(FILES_DIR="")
    failed = await scenario.sync(file=str(tmp_path / "profiles.ndjson"))
    assert failed.error
    assert failed.error.code == "file_forbidden"
    assert "Set FILES_DIR where the workers run" in failed.error.hint


# In one process


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({})) as box:
        yield box


@pytest.fixture
def env(sandbox: Sandbox) -> dict[str, str]:
    """Mavera's key and no other: neither Segment's nor a Redis."""
    settings = environment(None, sandbox)
    del settings["SEGMENT_TOKEN"], settings["SEGMENT_BASE_URL"]
    return settings


@pytest.mark.parametrize(
    "line",
    [
        "$P sync spa_1 --json --from-file profiles.ndjson",
        "$P sync spa_1 --json --from-file - < profiles.ndjson",
        "$P sync spa_1 --json --from-file <(gzip -c profiles.ndjson)",
    ],
)
async def test_a_file_needs_no_segment_token_and_no_redis(
    line: str, env: dict[str, str], sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "profiles.ndjson").write_bytes(lines(profiles(SMALL)))
    done = await shell(f"cd {tmp_path} && {line}", {**env, "SEGMENT_DIALECT": "profile-api"})
    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["status"], document["profiles_fetched"], document["complete"]) == ("completed", 60, True)
    assert [persona["n"] for persona in document["personas"]] == [20, 20, 20]
    assert sandbox.journal.count("segment") == 0


async def test_so_many_profiles_and_no_more(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "profiles.ndjson"
    path.write_bytes(lines(profiles(SMALL)))
    settings = load_settings(
        segment_token=None, mavera_api_key="mvra_test_sandbox", mavera_base_url=sandbox.mavera_url, mavera_gap_s=0
    )
    async with embedded_client(settings, opener=open_any_file) as client:
        for n, complete in ((7, False), (60, True), (61, True)):
            request = SyncRequest(space_id="spa_1", file=str(path), max_profiles=n)
            done = await client.wait((await client.enqueue(request)).id)
            assert (done.profiles, done.complete) == (min(n, 60), complete)


async def test_a_slow_pipe_is_read_as_it_comes_over_many_leases(env: dict[str, str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    rows = lines(profiles(SMALL)).splitlines(keepends=True)
    command = await Command.start(
        *("sync", "spa_1", "--json", "--from-file", str(pipe)),
        env={**env, "LEASE_S": "0.01", "COMMIT_INTERVAL_S": "0"},
    )
    writer = await asyncio.to_thread(pipe.open, "wb", 0)
    with writer:
        for n, row in enumerate(rows[:3], 1):
            writer.write(row)
            await command.until(f" {n} profile")
        writer.write(b"".join(rows[3:]))
    done = await command.end()
    assert (done.code, json.loads(done.out)["profiles_fetched"]) == (0, 60), done.err


async def test_ctrl_c_ends_the_wait_for_a_pipe_that_says_nothing(env: dict[str, str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = await Command.start("sync", "spa_1", "--from-file", str(pipe), env=env)
    writer = await asyncio.to_thread(pipe.open, "wb", 0)
    with writer:
        command.interrupt()
        done = await command.end()
    assert (done.code, done.out) == (130, "")
    assert "resume syn_" in done.err
    assert "Traceback" not in done.err


async def test_what_is_wrong_with_the_content_fails_the_sync_with_exit_code_1(
    env: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(lines(profiles(SMALL)))[:-9])
    done = await cli("sync", "spa_1", "--json", "--from-file", str(path), env=env)
    document = json.loads(done.out)
    assert (done.code, document["status"], document["error"]["code"]) == (1, "failed", "file_corrupt")
    assert document["personas"] == []


@pytest.mark.parametrize("way", ["--from-file {}", "--from-file - < {}", "--from-file <(cat {})", "--from-file {}.gz"])
async def test_another_format_is_refused_by_name_and_buys_nothing(
    env: dict[str, str], sandbox: Sandbox, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "rows.ndjson"
    array = json.dumps([{"id": f"use_{i}", "traits": {"ltv": 1200}} for i in range(5000)]).encode()
    path.write_bytes(array)
    path.with_name("rows.ndjson.gz").write_bytes(gzip.compress(array))
    for command in ("sync", "preview") if way == "--from-file {}" else ("sync",):
        done = await shell(f"$P {command} spa_1 --json {way.format(path)}", env)
        document = json.loads(done.out)
        assert (done.code, document["status"], document["error"]["code"]) == (1, "failed", "file_format")
        assert (document["error"]["resumable"], document["profiles_fetched"]) == (False, 0)
    done = await shell(f"$P suggest {way.format(path)}", env)
    assert (done.code, done.out) == (2, "")
    assert "a JSON array" in done.err
    assert sandbox.journal.count("mavera.create") == 0


@pytest.mark.parametrize("case", ["lines-copy-escaped.ndjson", "every other line cut off"])
async def test_a_file_of_which_half_of_the_lines_are_not_json_buys_nothing(
    env: dict[str, str], sandbox: Sandbox, tmp_path: Path, case: str
) -> None:
    path = Path(__file__).parents[2] / "cases" / case
    if not path.exists():
        path = tmp_path / "cut.ndjson"
        rows = lines(profiles(SMALL)).splitlines()
        path.write_bytes(b"".join((row[:40] if i % 2 else row) + b"\n" for i, row in enumerate(rows)))
    done = await cli("sync", "spa_1", "--json", "--from-file", str(path), env=env)
    document = json.loads(done.out)
    assert (done.code, document["error"]["code"]) == (1, "guard_profile_errors")
    assert document["profile_errors"] == document["profiles_fetched"] > 0
    assert sandbox.journal.count("mavera.create") == 0


async def test_workers_refuse_another_format_and_a_cut_file(scenario: Scenario, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "array.json").write_bytes(json.dumps(list(profiles(SMALL))).encode())
    (tmp_path / "cut.ndjson").write_bytes(content[:-20])
    scenario.worker()
    for name, code in (("array.json", "file_format"), ("cut.ndjson", "file_corrupt")):
        failed = await scenario.sync(file=name)
        assert failed.error
        assert (failed.error.code, failed.error.resumable, failed.outcomes) == (code, False, ())


async def test_merged_profiles_are_left_out_and_counted(scenario: Scenario, tmp_path: Path) -> None:
    rows = list(profiles(SMALL)) * 30
    merged = [{**row, "merged_to": "use_other"} for row in rows if isinstance(row, dict)]
    kept = [{**row, "merged_to": ""} for row in rows if isinstance(row, dict)]
    mixed = [row for pair in zip(merged, kept, strict=True) for row in pair]
    (tmp_path / "rows.ndjson").write_bytes(lines(mixed))
    scenario.worker()
    done = await scenario.sync(file="rows.ndjson")
    aggregate = Aggregate.from_bytes(done.aggregate)
    assert (done.profiles, aggregate.merged, aggregate.profile_errors) == (len(kept), len(merged), 0)


async def test_merged_profiles_are_in_the_result(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "rows.ndjson"
    rows = [row for row in profiles(SMALL) if isinstance(row, dict)]
    path.write_bytes(
        lines([*({**row, "merged_to": None} for row in rows), *({**row, "merged_to": "x"} for row in rows)])
    )
    done = await cli("sync", "spa_1", "--json", "--from-file", str(path), env=env)
    document = json.loads(done.out)
    assert (document["profiles_fetched"], document["merged"], document["profile_errors"]) == (60, 60, 0)
    done = await cli("preview", "spa_1", "--from-file", str(path), env=env)
    assert "60 rows left out" in done.out + done.err


async def test_shards_that_the_shell_names_are_never_spaces(env: dict[str, str], sandbox: Sandbox) -> None:
    cases = Path(__file__).parents[2] / "cases"
    for command in (
        "sync --json --from-file 0*.json",
        "preview spa_1 --from-file 0*.json",
        "sync spa_1 --sandbox --from-file 000000000000.json --from-file 000000000001.json",
    ):
        done = await shell(f"cd {cases} && $P {command}", {**env, "SEGMENT_SPACE_ID": "spa_1"})
        assert done.code == 2
        assert "000000000001.json" in done.err
        assert "put the pattern in quotes" in done.err
    assert sandbox.journal.count() == 0
    for way in ("--from-file '0*.json'", "--from-file - < <(awk 1 0*.json)"):
        done = await shell(f"cd {cases} && $P sync spa_1 --json {way}", env)
        assert json.loads(done.out)["profiles_fetched"] == 40


async def test_with_the_sandbox_a_file_needs_no_key(tmp_path: Path) -> None:
    path = tmp_path / "profiles.ndjson"
    path.write_bytes(lines(profiles(SMALL)))
    done = await cli("sync", "--sandbox", "--from-file", str(path), env=environment(None, None))
    assert done.code == 0
    assert "The sandbox in this process replaces Mavera. No key is used." in done.err
    assert f'"file": "{path}"' in done.out


async def test_a_worker_without_segment_token_is_for_ones_own_files_only(env: dict[str, str]) -> None:
    done = await cli("sync", "spa_1", env=env)
    assert (done.code, done.out) == (2, "")
    assert "SEGMENT_TOKEN is not set" in done.err
