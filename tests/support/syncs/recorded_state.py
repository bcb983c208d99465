"""Records what a version of the program leaves in Redis, as a fixture that later versions must read.

`python -m tests.support.syncs.recorded_state FILE [COMMIT]` runs the program (of a commit; without one, the present
one) against the sandbox, kills its worker in the middle, and writes all keys of Redis and the personas of the sandbox
into FILE. Record each release once, as `tests/fixtures/state/VERSION/state.json`:
`tests/integration/versions/test_recorded_state.py`
reads them all. A commit runs with the packages of this interpreter: install those that only it needs.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from producer.sandbox import Fault, Sandbox, SpaceSpec
from producer.sandbox.personas import Persona
from tests.support.processes.checkouts import ROOT, Checkout, checkout
from tests.support.processes.workers import WorkerProcess
from tests.support.scenarios.checks import until
from tests.support.scenarios.scenario import Scenario, start_scenario
from tests.support.servers.redis_server import RedisServer
from worker.store import StorePool
from worker.store.personas.account_name import account_name

LONG = SpaceSpec(1500, "mixed")
SPACES = {
    **dict.fromkeys(("done", "planned", "failed", "buying"), SpaceSpec(60, "recipe")),
    "chain": LONG,
    "fan": LONG,
}
SETTINGS = {"SEGMENT_PAGE_SIZE": "20"}

ASK = """
import asyncio, sys
from producer import SyncClient, SyncRequest
async def ask():
    options = {"strategy": sys.argv[3], "plan_only": sys.argv[4] == "plan"}
    async with SyncClient(sys.argv[1]) as client:
        return await client.enqueue(SyncRequest(space_id=sys.argv[2], dialect="inline", **options))
print(asyncio.run(ask()).id)
"""


async def record(program: Checkout, folder: Path) -> dict[str, Any]:
    """Runs the program until its syncs are in every state, and returns what it leaves."""
    server = RedisServer(folder)
    server.start()
    workers: list[WorkerProcess] = []

    def start(env: dict[str, str], **_: object) -> WorkerProcess:
        workers.append(WorkerProcess(env, folder / "worker.log", program.worker))
        workers[-1].wait_ready()
        return workers[-1]

    refused = Fault("segment", "status", route="page", space="failed", page=1, times=1, status=401)
    try:
        options: dict[str, Any] = {"latency_s": 0.1, "mavera_latency_s": 0.5, "faults": (refused,)}
        async with start_scenario(server, start, SPACES, settings=SETTINGS, **options) as scenario:
            worker = scenario.worker()
            ids = {space: _ask(scenario, program, space, "chain") for space in ("done", "failed")}
            ids["planned"] = _ask(scenario, program, "planned", "chain", "plan")
            for sync_id in ids.values():
                await scenario.client.wait(sync_id)
            ids |= {
                "chain": _ask(scenario, program, "chain", "chain"),
                "fan": _ask(scenario, program, "fan", "fan-out"),
            }
            ids["buying"] = _ask(scenario, program, "buying", "chain")
            await until(lambda: _is_midway(scenario, ids))
            worker.kill()
            await asyncio.sleep(1)  # the purchase on its way is made
            return {
                "account": scenario.account,
                "syncs": ids,
                "keys": await dump(scenario.pool),
                "personas": [asdict(persona) for persona in scenario.sandbox.personas],
            }
    finally:
        for worker in workers:
            worker.close()
        server.kill()


def _ask(scenario: Scenario, program: Checkout, space: str, strategy: str, plan: str = "") -> str:
    return program.run(ASK, scenario.redis.url, space, strategy, plan, env=scenario.environment())


async def _is_midway(scenario: Scenario, ids: dict[str, str]) -> bool:
    for space in ("chain", "fan"):
        sync = await scenario.client.get(ids[space])
        assert not sync.state.is_final, sync.error
        if sync.pages < 3:
            return False
    return scenario.sandbox.journal.arrived["mavera.create"] > len(scenario.sandbox.personas) >= 4


async def dump(pool: StorePool) -> dict[str, Any]:
    """All keys with their types; bytes as Latin-1. Times of expiry are left out."""
    found: dict[str, Any] = {}
    for name in sorted([key async for key in pool.scan_iter(count=1000)]):
        kind = (await pool.type(name)).decode()
        value: Any
        match kind:
            case "string":
                value = _text(await pool.get(name))
            case "hash":
                value = {_text(key): _text(one) for key, one in (await pool.hgetall(name)).items()}  # type: ignore[misc]
            case "list":
                value = [_text(one) for one in await pool.lrange(name, 0, -1)]  # type: ignore[misc]
            case _:
                value = {_text(key): score for key, score in await pool.zrange(name, 0, -1, withscores=True)}
        found[_text(name)] = {"type": kind, "value": value}
    return found


async def restore(state: dict[str, Any], scenario: Scenario) -> None:
    """Loads a recorded state into the scenario, as that of its account."""
    await restore_state(state, scenario.pool, scenario.sandbox)


async def restore_state(state: dict[str, Any], pool: StorePool, sandbox: Sandbox) -> None:
    """Loads a recorded state into a Redis and a sandbox, as that of the sandbox's account."""
    account = account_name(sandbox.mavera_url, "mvra_test_sandbox")
    text = orjson.dumps(state["keys"]).replace(state["account"].encode(), account.encode())
    for name, entry in orjson.loads(text).items():
        key, value = _bytes(name), entry["value"]
        match entry["type"]:
            case "string":
                await pool.set(key, _bytes(value))
            case "hash":
                fields = {_bytes(field): _bytes(one) for field, one in value.items()}
                await pool.hset(key, mapping=fields)  # type: ignore[misc]
            case "list":
                await pool.rpush(key, *map(_bytes, value))  # type: ignore[misc]
            case _:
                await pool.zadd(key, {_bytes(member): score for member, score in value.items()})
    sandbox._state.personas.all.extend(Persona(**persona) for persona in state["personas"])


def _text(value: bytes) -> str:
    return value.decode("latin-1")


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")


def main() -> None:
    target = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "program")
        place.mkdir()
        program = checkout(sys.argv[2], place) if len(sys.argv) > 2 else Checkout(ROOT)
        state = asyncio.run(record(program, Path(folder)))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(orjson.dumps(state, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
