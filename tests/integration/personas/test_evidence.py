"""No second persona, whatever Mavera's list shows or hides; and what cannot be told is in doubt, with a reason."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions
from tests.support.processes.command_line import Command, Done, cli
from tests.support.processes.workers import environment
from tests.support.scenarios.checks import assert_no_twins, until
from tests.support.scenarios.scenario import RECIPE, SOON_SETTLED, Scenario, Start, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.models.sync import Sync, SyncState
from worker.store import keys

CLUSTERS = ("high_value", "growth", "at_risk")
LOST_POST = Fault("mavera", "created_lost", route="create", at=2)


@asynccontextmanager
async def mavera(**options: object) -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions({"spa": RECIPE, "other": RECIPE}, **options)) as sandbox:  # type: ignore[arg-type]
        yield sandbox


class Process:
    """Runs without a common Redis, each with its own state directory: nothing but Mavera's list joins them."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self._folder = folder
        self._runs = 0

    def env(self, **settings: str) -> dict[str, str]:
        self._runs += 1
        own = {"XDG_STATE_HOME": str(self._folder / f"state_{self._runs}"), **SOON_SETTLED}
        return environment(None, self.sandbox, **{**own, **settings})

    async def sync(self, space: str = "spa", **settings: str) -> Done:
        return await cli("sync", space, "--json", env=self.env(**settings))


def actions(done: Done) -> list[str]:
    assert done.code == 0, done
    return [persona["action"] for persona in json.loads(done.out)["personas"]]


def error(done: Done) -> Mapping[str, object]:
    assert done.code == 1, done
    found = json.loads(done.out)["error"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("shown", [200, 60, 0, None])
async def test_a_second_run_finds_what_the_first_bought_on_a_cut_list(tmp_path: Path, shown: int | None) -> None:
    async with mavera(mavera_shown=shown, stock_personas=3) as sandbox:
        process = Process(sandbox, tmp_path)
        assert actions(await process.sync()) == ["created"] * 3
        assert actions(await process.sync()) == ["updated"] * 3
        assert len(sandbox.posts) == 3


@pytest.mark.parametrize("shown", [200, 60, 0])
@pytest.mark.parametrize("fault", [None, LOST_POST], ids=["", "an answer is lost"])
async def test_what_the_list_hides_is_in_doubt_and_not_bought_again(
    tmp_path: Path, shown: int, fault: Fault | None
) -> None:
    async with mavera(mavera_shown=shown, mavera_reads=False, faults=(fault,) if fault else ()) as sandbox:
        process = Process(sandbox, tmp_path)
        first = await process.sync()
        if fault and shown < 200:
            # The list shows a new row of this name, and too little of its text to tell whether it is ours.
            assert (error(first)["code"], error(first)["resumable"]) == ("persona_in_doubt", True)
        else:
            assert actions(first) == ["created"] * 3
        made = len(sandbox.personas)
        assert made == len(sandbox.posts) == 3
        for space in ("spa", "other"):
            second = error(await process.sync(space))
            assert (second["code"], second["resumable"]) == ("persona_in_doubt", True)
            assert "personas adopt" in str(second["hint"])
            assert sandbox.personas[0].id in str(second["message"])
        assert (len(sandbox.posts), sandbox.patches) == (3, [])


async def test_spaces_that_share_names_keep_their_personas_on_a_cut_list(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {"spa": RECIPE, "other": RECIPE}
    async with start_scenario(session_redis, start_worker, spaces, mavera_shown=200, mavera_reads=False) as scenario:
        scenario.worker()
        first, other = await scenario.sync("spa"), await scenario.sync("other")
        ids = [{one.persona_id for one in sync.outcomes} for sync in (first, other)]
        assert not ids[0] & ids[1]
        again = [await scenario.sync(space) for space in spaces]
        assert [{one.persona_id for one in sync.outcomes} for sync in again] == ids
        assert {one.action for sync in again for one in sync.outcomes} == {"unchanged"}
        assert (len(scenario.sandbox.posts), scenario.sandbox.patches) == (6, [])


async def test_another_process_that_buys_while_pages_are_read_is_noticed(tmp_path: Path) -> None:
    async with mavera(latency_s=0.0) as sandbox:
        process = Process(sandbox, tmp_path)
        sandbox.add_fault(Fault("segment", "hold", route="page", at=1))
        slow = await Command.start("sync", "spa", "--json", env=process.env(SEGMENT_TIMEOUT_S="600"))
        await sandbox.journal.wait_arrived("segment.page", 1)
        assert actions(await process.sync()) == ["created"] * 3
        sandbox.clear_faults()
        assert actions(await slow.end()) == ["updated"] * 3
        assert len(sandbox.posts) == 3
        assert_no_twins(sandbox)


async def test_a_persona_deleted_while_pages_are_read_is_created_again(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        first = {one.cluster: one.persona_id for one in (await scenario.sync()).outcomes}
        scenario.sandbox.add_fault(Fault("segment", "hold", route="page", at=1))
        read = scenario.sandbox.journal.count("segment.page")
        sync = await scenario.enqueue()
        await scenario.sandbox.journal.wait_arrived("segment.page", read + 1)
        scenario.sandbox.delete_persona(first["growth"])
        scenario.sandbox.clear_faults()
        sync = await scenario.ended(sync)
        assert _actions(sync) == {"high_value": "unchanged", "growth": "created", "at_risk": "unchanged"}


async def test_odd_rows_of_the_list_are_ignored(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker, mavera_odd_rows=True) as scenario:
        scenario.worker()
        await scenario.assert_bought_once(await scenario.sync())
        await scenario.pool.delete(keys.personas(scenario.account))
        await scenario.assert_bought_once(await scenario.sync(), credits_charged=0)
        assert len(scenario.sandbox.posts) == 3


@pytest.mark.parametrize("point", ["after_claim", "after_post", "before_record"])
async def test_a_worker_killed_around_a_post_buys_once_on_a_list_that_cuts_text(
    session_redis: RedisServer, start_worker: Start, point: str
) -> None:
    options = {"mavera_shown": 200, "mavera_reads": False}
    async with start_scenario(session_redis, start_worker, settings=SOON_SETTLED, **options) as scenario:
        dying = scenario.worker(f"{point}:2:kill", ready=False)
        sync = await scenario.enqueue()
        assert await asyncio.to_thread(dying.process.wait) < 0
        scenario.worker()
        await scenario.assert_bought_once(await scenario.ended(sync))
        await scenario.assert_clean()
        assert len(scenario.sandbox.personas) == 3


async def test_a_404_to_an_update_of_a_listed_persona_is_in_doubt(
    session_redis: RedisServer, start_worker: Start
) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        scenario.worker()
        await scenario.sync()
        for persona in scenario.sandbox.personas:
            persona.fields["description"] = str(persona.fields["description"]).replace("segment", "group", 1)
        records = await scenario.pool.hash_fields(keys.personas(scenario.account))
        for name, raw in records.items():
            record = json.loads(raw)
            del record["sent"]
            await scenario.pool.hset(keys.personas(scenario.account), name, json.dumps(record))  # type: ignore[misc, arg-type]
        scenario.sandbox.add_fault(Fault("mavera", "status", route="update", status=404, at=1, times=1))
        scenario.sandbox.add_fault(Fault("mavera", "status", route="update", status=404, at=4, times=0))
        sync = await scenario.sync()
        assert (sync.state, sync.failed_in) == (SyncState.FAILED, SyncState.FINALIZING)
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("persona_in_doubt", True)
        assert "404" in sync.error.message
        assert {one.cluster for one in sync.outcomes} == {"growth", "at_risk"}
        assert len(scenario.sandbox.posts) == 3
        scenario.sandbox.clear_faults()
        await scenario.client.resume(sync.id)
        sync = await scenario.ended(sync)
        assert set(_actions(sync).values()) == {"updated"}
        assert len(scenario.sandbox.posts) == 3


@pytest.mark.parametrize("accepted", [False, True])
async def test_most_personas_gone_at_once_stop_a_sync_until_accepted(
    session_redis: RedisServer, start_worker: Start, accepted: bool
) -> None:
    async with start_scenario(session_redis, start_worker, settings=SOON_SETTLED) as scenario:
        scenario.worker()
        first = {one.cluster: one.persona_id for one in (await scenario.sync()).outcomes}
        await _settle(scenario)
        for cluster in ("high_value", "growth"):
            scenario.sandbox.delete_persona(first[cluster])
        sync = await scenario.sync()
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("guard_personas", True)
        assert "1 of the 3" in sync.error.message
        assert len(scenario.sandbox.posts) == 3
        if accepted:
            await scenario.client.resume(sync.id, accept=True)
            sync = await scenario.ended(sync)
            assert _actions(sync) == {"high_value": "created", "growth": "created", "at_risk": "unchanged"}
            assert len(scenario.sandbox.posts) == 5


async def test_an_account_without_any_recorded_persona_stops_the_sync_of_a_new_space(
    session_redis: RedisServer, start_worker: Start
) -> None:
    spaces = {"spa": RECIPE, "other": RECIPE}
    async with start_scenario(session_redis, start_worker, spaces, settings=SOON_SETTLED) as scenario:
        scenario.worker()
        first = await scenario.sync()
        await _settle(scenario)
        for outcome in first.outcomes:
            scenario.sandbox.delete_persona(outcome.persona_id)
        sync = await scenario.sync("other")
        assert sync.error
        assert (sync.error.code, sync.error.resumable) == ("guard_personas", True)
        assert "0 of the 3" in sync.error.message
        assert len(scenario.sandbox.posts) == 3


async def test_twins_are_reported_by_every_later_sync(session_redis: RedisServer, start_worker: Start) -> None:
    async with start_scenario(session_redis, start_worker) as scenario:
        worker = scenario.worker()
        await scenario.sync()
        one = scenario.sandbox.personas[0]
        twin = scenario.sandbox.add_persona(one.fields)
        for _ in range(2):
            sync = await scenario.sync()
            assert {outcome.persona_id: outcome.twins for outcome in sync.outcomes if outcome.twins} == {
                one.id: (twin.id,)
            }
        await until(lambda: _says(scenario, worker.text, twin.id))


async def _settle(scenario: Scenario) -> None:
    """Makes each recorded persona older than the settle time: Mavera must list it by now."""
    records = await scenario.persona_store().all_records()
    for name, record in records.items():
        assert record.sent
        older = replace(record, sent=replace(record.sent, at=record.sent.at - 60))
        await scenario.pool.hset(keys.personas(scenario.account), name, older.encode())  # type: ignore[misc]


async def _says(scenario: Scenario, text: object, words: str) -> bool:
    assert callable(text)
    return words in text()


def _actions(sync: Sync) -> dict[str, str]:
    assert sync.state is SyncState.COMPLETED, sync.error
    return {one.cluster: one.action for one in sync.outcomes}
