"""Snowflake, BigQuery and Databricks through their drivers, against local servers that speak their protocols."""

from __future__ import annotations

import asyncio
import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers.warehouse_apis.bigquery_api import DRY_RUN_BYTES, BigQueryApi
from tests.support.servers.warehouse_apis.databricks_api import TOKEN, DatabricksApi
from tests.support.servers.warehouse_apis.server import WarehouseApi, running
from tests.support.servers.warehouse_apis.snowflake_api import PASSWORD, SnowflakeApi
from worker.errors import ApiError
from worker.segment.file_shards.read_options import EngineLimits
from worker.segment.warehouse.engine import EngineOptions, FoundTable, TableName, WarehouseEngine
from worker.segment.warehouse.engines import DRIVERS, open_engine, require_driver
from worker.segment.warehouse.products import remote_engine
from worker.warehouse_url import WarehouseUrl

ROWS = [(1, 0.5, "x"), (None, None, None), (-3, 1e300, 'y"')]
COLUMNS = (("canonical_segment_id", "text"), ("Name", "text"), ("value", "text"))
GRANTED = {"snowflake": "UPDATE", "bigquery": "bigquery.tables.updateData", "databricks": "MODIFY"}


@dataclass(frozen=True)
class Case:
    """A driver, its server, and what both call the same errors: (script, code of ours)."""

    scheme: str
    api: Callable[[], WarehouseApi]
    url: str
    failures: tuple[tuple[str, str], ...]
    refusals: tuple[tuple[int, str, str], ...]


CASES = (
    Case(
        "snowflake",
        SnowflakeApi,
        f"snowflake://reader:{PASSWORD}@127.0.0.1:{{port}}/db/segment?warehouse=wh&protocol=http&host=127.0.0.1",
        (
            ("2003", "warehouse_forbidden"),
            ("904", "column_missing"),
            ("630", "read_timeout"),
            ("100038", "warehouse_error"),
        ),
        ((200, "390144", "warehouse_unauthorized"), (200, "390189", "warehouse_unauthorized")),
    ),
    Case(
        "bigquery",
        BigQueryApi,
        "bigquery://p/segment?location=EU",
        (
            ("accessDenied", "warehouse_forbidden"),
            ("resourcesExceeded", "out_of_memory"),
            ("quotaExceeded", "warehouse_busy"),
            ("invalidQuery", "warehouse_error"),
        ),
        ((401, "authError", "warehouse_unauthorized"), (403, "accessDenied", "warehouse_forbidden")),
    ),
    Case(
        "databricks",
        DatabricksApi,
        f"databricks://token:{TOKEN}@127.0.0.1:{{port}}/db/segment?warehouse=abc&protocol=http",
        (
            ("[TABLE_OR_VIEW_NOT_FOUND]", "warehouse_forbidden"),
            ("[UNRESOLVED_COLUMN.WITH_SUGGESTION]", "column_missing"),
            ("[CAST_INVALID_INPUT]", "warehouse_error"),
        ),
        ((401, "UNAUTHENTICATED", "warehouse_unauthorized"), (403, "PERMISSION_DENIED", "warehouse_forbidden")),
    ),
)


class Warehouse:
    """A local server that speaks the protocol of a warehouse, and engines that connect to it."""

    def __init__(self, case: Case, api: WarehouseApi, monkeypatch: pytest.MonkeyPatch) -> None:
        self.case = case
        self.monkeypatch = monkeypatch
        self.api = api
        self.url = case.url.format(port=api.port)

    def engine(self, timeout_s: float = 60) -> WarehouseEngine:
        """A new connection."""
        return open_engine(WarehouseUrl.parse(self.url), EngineOptions(timeout_s, EngineLimits(64, 1)))


@contextmanager
def serving(case: Case, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setattr(remote_engine, "FIRST_LOOK_S", 0.01)
    with running(case.api()) as api:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://127.0.0.1:{api.port}")
        api.script.results = {
            "information_schema.columns": ({"a": "text", "b": "text", "c": "text", "d": "text", "e": "text"}, table()),
            "information_schema.table_privileges": ({"privilege_type": "text"}, []),
            "query_history_by_user": ({"n": "text"}, []),
            "SELECT": ({"n": "int", "x": "float", "t": "text"}, ROWS),
        }
        if isinstance(api, BigQueryApi):
            api.tables["User_Traits"] = [{"name": name, "type": "STRING"} for name, _ in COLUMNS]
        yield Warehouse(case, api, monkeypatch)


def table() -> list[tuple[str, ...]]:
    return [("DB", "SEGMENT", "User_Traits", *column) for column in COLUMNS]


async def a_statement_is_found_again_by_another_process_and_runs_once(warehouse: Warehouse) -> None:
    engine = warehouse.engine()
    query_id = await engine.submit("SELECT 1", "sync-1")
    await engine.close()
    if warehouse.case.scheme == "databricks":  # a second process would load the SDK again, for seconds
        successor = warehouse.engine()
        assert await successor.attach(query_id)
        assert await successor.result(query_id, list) == ROWS
        return
    script = f"""
import asyncio
from worker.segment.file_shards.read_options import EngineLimits
from worker.segment.warehouse.engine import EngineOptions
from worker.segment.warehouse.engines import open_engine
from worker.warehouse_url import WarehouseUrl
async def main():
    engine = open_engine(WarehouseUrl.parse({warehouse.url!r}), EngineOptions(60, EngineLimits(64, 1)))
    assert await engine.attach({query_id!r})
    print(await engine.result({query_id!r}, list))
    await engine.close()
asyncio.run(main())
"""
    command = [sys.executable, "-W", "error", "-c", script]
    process = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == f"{ROWS}\n"
    assert [one.sql.splitlines()[-1] for one in warehouse.api.statements.values()] == ["SELECT 1"]
    engine = warehouse.engine()
    assert not await engine.attach("01b2c3d4-0000-1111-0000-00000000ffff")
    await engine.close()


async def a_statement_is_cancelled_by_its_id_or_by_its_label(warehouse: Warehouse) -> None:
    warehouse.api.script.looks = None
    engine = warehouse.engine()
    first, second, other = [await engine.submit("SELECT 1", label) for label in ("sync-1", "sync-2", "sync-3")]
    await engine.cancel(first)
    warehouse.api.script.looks = 0
    warehouse.api.script.results["query_history_by_user"] = ({"n": "text"}, [(second,)])
    successor = warehouse.engine()
    await successor.end_earlier("sync-2")
    await successor.close()
    cancelled = {one.id for one in warehouse.api.statements.values() if one.cancelled}
    assert cancelled == {first, second}
    assert not await engine.attach(first)
    assert await engine.attach(other)
    await engine.close()


async def a_statement_that_takes_too_long_is_cancelled(warehouse: Warehouse) -> None:
    warehouse.api.script.looks = None
    engine = warehouse.engine(timeout_s=0.05)
    query_id = await engine.submit("SELECT 1", "sync-1")
    with pytest.raises(ApiError) as raised:
        await engine.result(query_id, list)
    assert raised.value.code == "read_timeout"
    assert warehouse.api.statements[query_id].cancelled
    await engine.close()


async def failures_have_our_codes_and_no_value_or_secret_in_their_texts(warehouse: Warehouse) -> None:
    for failure, code in warehouse.case.failures:
        warehouse.api.script.failure = failure
        engine = warehouse.engine()
        with pytest.raises(ApiError) as raised:
            await engine.query("SELECT 1")
        assert (failure, raised.value.code) == (failure, code)
        check_text(raised.value)
        await engine.close()
    for status, refusal, code in warehouse.case.refusals:
        warehouse.api.script.refuse = (status, refusal)
        with pytest.raises(ApiError) as raised:
            await warehouse.engine().query("SELECT 1")
        assert (refusal, raised.value.code) == (refusal, code)
        check_text(raised.value)


async def a_warehouse_that_does_not_answer_is_unreachable(warehouse: Warehouse) -> None:
    monkeypatch = warehouse.monkeypatch
    module = importlib.import_module(f"worker.segment.warehouse.products.{DRIVERS[warehouse.case.scheme].module}")
    monkeypatch.setattr(module, "RETRY_FOR_S", 1, raising=False)
    if warehouse.case.scheme == "bigquery":
        monkeypatch.setattr(module, "RETRY", module.RETRY.with_timeout(1))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    warehouse.url = warehouse.url.replace(f":{warehouse.api.port}/", ":9/")
    with pytest.raises(ApiError) as raised:
        await warehouse.engine().query("SELECT 1")
    assert raised.value.code == "warehouse_unreachable"
    check_text(raised.value)


def check_text(error: ApiError) -> None:
    text = f"{error} {error.hint}"
    assert not [word for word in (PASSWORD, TOKEN, "Ada", "SELECT") if word in text], text


async def a_table_is_found_in_any_case_with_its_columns(warehouse: Warehouse) -> None:
    engine = warehouse.engine()
    found = await engine.find_table(TableName.parse("USER_TRAITS"))
    assert found is not None
    assert found.name.table == "User_Traits"
    assert list(found.columns) == [name for name, _ in COLUMNS]
    warehouse.api.script.results["information_schema.columns"] = ({"a": "text"}, [])
    assert await engine.find_table(TableName.parse("nothing")) is None
    await engine.close()


async def a_user_that_may_write_is_refused(warehouse: Warehouse) -> None:
    engine = warehouse.engine()
    found = FoundTable(TableName(("db", "segment", "User_Traits")), {})
    await engine.refuse_writer(found)
    granted = GRANTED[warehouse.case.scheme]
    warehouse.api.script.results["information_schema.table_privileges"] = ({"p": "text"}, [(granted,)])
    if isinstance(warehouse.api, BigQueryApi):
        warehouse.api.permissions = [granted]
    with pytest.raises(ApiError, match=granted) as raised:
        await engine.refuse_writer(found)
    assert raised.value.code == "warehouse_can_write"
    await engine.close()


async def bytes_are_estimated_and_read_where_the_warehouse_tells(warehouse: Warehouse) -> None:
    warehouse.api.script.results = {
        "EXPLAIN": ({"plan": "text"}, [('{"GlobalStats": {"bytesAssigned": 4096}}',)]),
        "bytes_scanned": ({"n": "int"}, [(2048,)]),
        "SELECT": ({"n": "int", "x": "float", "t": "text"}, ROWS),
    }
    engine = warehouse.engine()
    expected = None if warehouse.case.scheme == "databricks" else DRY_RUN_BYTES
    assert (await engine.estimate("SELECT 1")).bytes == expected
    query_id = await engine.submit("SELECT 1", "sync-1")
    assert await engine.result(query_id, list) == ROWS
    assert await engine.scanned_bytes(query_id) == 2048
    await engine.close()


async def a_question_that_the_warehouse_refuses_does_not_fail_a_sync(warehouse: Warehouse) -> None:
    if warehouse.case.scheme == "bigquery":
        return  # it answers these questions to everyone
    engine = warehouse.engine()
    query_id = await engine.submit("SELECT 1", "sync-1")
    assert await engine.result(query_id, list) == ROWS
    warehouse.api.script.failure = warehouse.case.failures[-1][0]
    await engine.refuse_writer(FoundTable(TableName(("db", "segment", "User_Traits")), {}))
    if warehouse.case.scheme == "snowflake":
        await engine.end_earlier("sync-1")
        assert await engine.scanned_bytes(query_id) is None
    await engine.close()


CHECKS = (
    a_statement_is_found_again_by_another_process_and_runs_once,
    a_statement_is_cancelled_by_its_id_or_by_its_label,
    a_statement_that_takes_too_long_is_cancelled,
    failures_have_our_codes_and_no_value_or_secret_in_their_texts,
    a_warehouse_that_does_not_answer_is_unreachable,
    a_table_is_found_in_any_case_with_its_columns,
    a_user_that_may_write_is_refused,
    bytes_are_estimated_and_read_where_the_warehouse_tells,
    a_question_that_the_warehouse_refuses_does_not_fail_a_sync,
)


@pytest.mark.parametrize("case", CASES, ids=[case.scheme for case in CASES])
async def test_an_engine_submits_finds_again_cancels_and_explains(case: Case) -> None:
    # One test for each engine, because every process that runs one loads the driver, which takes seconds.
    for check in CHECKS:
        with pytest.MonkeyPatch.context() as monkeypatch, serving(case, monkeypatch) as warehouse:
            await check(warehouse)


async def test_snowflake_takes_a_key_file_or_a_token_instead_of_a_password(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    file = tmp_path / "key.p8"
    key = rsa.generate_private_key(65537, 2048)
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    api = SnowflakeApi()
    api.script.results = {"SELECT": ({"n": "int"}, [(1,)])}
    with running(api):
        for user, more in (
            ("reader", f"private_key_file={file}"),
            ("u:token", "authenticator=PROGRAMMATIC_ACCESS_TOKEN"),
        ):
            url = f"snowflake://{user}@127.0.0.1:{api.port}/db?protocol=http&host=127.0.0.1&{more}"
            engine = open_engine(WarehouseUrl.parse(url), EngineOptions(60, EngineLimits(64, 1)))
            assert await engine.query("SELECT 1") == [(1,)]
            await engine.close()
    assert api.logins == ["SNOWFLAKE_JWT", "PROGRAMMATIC_ACCESS_TOKEN"]


def test_a_missing_driver_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    for scheme, driver in DRIVERS.items():
        if driver.package is None:
            continue
        with pytest.raises(ApiError) as raised:
            require_driver(WarehouseUrl.parse(f"{scheme}://u:p@h/d"))
        assert raised.value.code == "driver_missing"
        assert raised.value.hint == f"Run: pip install 'segment-personas[{driver.extra}]'"
