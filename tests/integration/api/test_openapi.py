"""The OpenAPI document is true: schemathesis finds nothing, and real documents match their schemas."""

from __future__ import annotations

import asyncio
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from producer.api.config import ApiLimits
from producer.sandbox import Fault
from tests.support.http_api.api_server import ApiServer, start_api
from tests.support.project.docs import page, table
from tests.support.servers.redis_server import RedisServer
from worker.jobs.store_factories import worker_registry
from worker.store import keys

TOKEN = "tester-token-0123456789"
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.fixture
def tokens_file(tmp_path: Path) -> Path:
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[tokens]]\nname = "tester"\ntoken = "{TOKEN}"\nscopes = ["read", "write"]\n')
    return path


@pytest.mark.timeout(600)  # on a loaded machine thousands of requests take longer than a test usually may
async def test_schemathesis_finds_nothing(session_redis: RedisServer, tokens_file: Path, tmp_path: Path) -> None:
    # A worker would fail hundreds of syncs of spaces that are not there. The server only has to see one.
    settings = {"heartbeat_s": 600, "stall_s": 1200}
    limits = ApiLimits(look_s=0.02, wrong_tokens=10_000)
    async with start_api(session_redis, tokens_file=tokens_file, limits=limits, settings=settings, worker=False) as api:
        await worker_registry(api.pool, api.settings).heartbeat("host", 1)
        document = (await api.get("/openapi.json")).json
        count = sum(map(len, document["paths"].values())) - 1  # without the route of the document itself
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", f"{api.url}/openapi.json"),
            *("--phases", "coverage,fuzzing", "--header", f"Authorization: Bearer {TOKEN}"),
            cwd=tmp_path,
            stdout=PIPE,
            stderr=STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        print(out.decode())
        assert f"{count} selected / {count} total" in out.decode()
        assert (await api.get("/healthz")).status == 200


def closed(schema: Any) -> Any:
    """The schema with no other keys allowed than those that it names."""
    if isinstance(schema, dict):
        inner = {name: closed(value) for name, value in schema.items()}
        return {**inner, "additionalProperties": False} if "properties" in inner else inner
    return [closed(one) for one in schema] if isinstance(schema, list) else schema


async def documents(api: ApiServer) -> dict[str, list[Any]]:
    """Documents that the server makes, by the name of their schema."""
    found: dict[str, list[Any]] = {"Sync": [], "ProblemDocument": []}

    async def ended(body: Mapping[str, object]) -> str:
        sync_id = str((await api.post("/v1/syncs", body)).json["sync_id"])
        found["Sync"] += [(await api.get(f"/v1/syncs/{sync_id}")).json, await api.ended(sync_id)]
        return sync_id

    await ended({"space_id": "spa", "plan_only": True})
    await ended({"space_id": "spa"})
    await ended({"space_id": "spa", "rules": "saas", "plan_only": True})
    await ended({"space_id": "spa", "sample": 0.5, "allow_partial": True, "mode": "create"})
    await ended({"space_id": "spa", "min_cluster_size": 1000})
    again = await ended({"space_id": "spa", "plan_only": True})
    await api.post(f"/v1/syncs/{again}/apply")
    found["Sync"].append(await api.ended(again))
    api.sandbox.add_fault(Fault("mavera", "status", status=401))
    await ended({"space_id": "spa", "rules": "saas"})
    unreadable = await ended({"space_id": "spa", "file": "none.ndjson"})
    await api.pool.hset(keys.sync(unreadable), "format", "99")
    found["SyncStatistics"] = [(await api.get(f"/v1/syncs/{again}/statistics")).json]
    found["SyncList"] = [(await api.get("/v1/syncs")).json, (await api.get("/v1/syncs?limit=1")).json]
    nightly = {"space_id": "spa", "cron": "0 3 * * *", "max_credits": 900, "alert_after_s": 93600}
    added = [(await api.post("/v1/schedules", {**nightly, "timezone": zone})).json for zone in ("UTC", "Asia/Tokyo")]
    await api.post(f"/v1/schedules/{added[0]['schedule_id']}/pause")
    await api.pool.hset(keys.schedule(added[1]["schedule_id"]), "document", '{"version": 9}')
    found["Schedule"] = [*added, (await api.get(f"/v1/schedules/{added[0]['schedule_id']}")).json]
    found["ScheduleList"] = [(await api.get("/v1/schedules")).json]
    found["HistoryList"] = [(await api.get("/v1/spaces/spa/history")).json]
    found["PersonaList"] = [(await api.get("/v1/spaces/spa/personas")).json]
    for path in ("/none", "/v1/syncs/none", "/v1/syncs?limit=x", f"/v1/syncs/{unreadable}"):
        found["ProblemDocument"].append((await api.get(path)).json)
    return found


async def test_real_documents_have_the_keys_of_their_schemas_and_no_others(session_redis: RedisServer) -> None:
    async with start_api(session_redis) as api:
        described = (await api.get("/openapi.json")).json
        schemas = closed(described["components"]["schemas"])
        for name, found in (await documents(api)).items():
            check = jsonschema_rs.validator_for(
                {"components": {"schemas": schemas}, "$ref": f"#/components/schemas/{name}"}
            )
            assert found
            assert not check.is_valid({"another": 1})
            for document in found:
                assert [f"{error.instance_path}: {error.message}" for error in check.iter_errors(document)] == []
        statuses = {one["status"] for one in (await api.get("/v1/syncs")).json["data"]}
        assert statuses >= {"completed", "failed", "planned", "unreadable"}


async def test_the_document_says_what_each_route_needs_and_may_answer(
    session_redis: RedisServer, tokens_file: Path
) -> None:
    async with start_api(session_redis, worker=False, tokens_file=tokens_file) as api:
        document = (await api.get("/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = operation["responses"]
            assert {"500", "503"} <= answers.keys()
            assert ("401" in answers) == bool(operation["security"]), path
            assert ("422" in answers) == (
                "requestBody" in operation or path == "/v1/syncs" or "history" in path or "events" in path
            )
            for status, answer in answers.items():
                assert answer["description"]
                assert status in {"204"} or answer["content"], (method, path, status)
    sync = document["paths"]["/v1/syncs"]["post"]
    assert sync["requestBody"]["content"]["application/json"]["examples"]
    assert {"202", "200", "409", "422"} <= sync["responses"].keys()


async def test_the_table_of_routes_is_what_the_server_serves(session_redis: RedisServer, tokens_file: Path) -> None:
    async with start_api(session_redis, worker=False, tokens_file=tokens_file) as api:
        document = (await api.get("/openapi.json")).json
    served = {
        f"{method.upper()} {path}": re.findall(r"scope `(\w+)`", operation.get("description", ""))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    listed = {
        row[0].strip("`"): re.findall(r"\w+", row[1]) for row in table(page("http-api"), "| route | scope | does |")
    }
    assert listed == served


async def test_the_page_shows_every_route_and_document(session_redis: RedisServer) -> None:
    async with start_api(session_redis, worker=False) as api:
        document = (await api.get("/openapi.json")).json
        page_of_it = (await api.get("/docs")).text
    for path, methods in document["paths"].items():
        assert path in page_of_it
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in page_of_it
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page_of_it
    anchors = set(re.findall(r'id="([^"]+)"', page_of_it))
    assert set(re.findall(r'href="#([^"]+)"', page_of_it)) <= anchors
