"""What a spaces file means for a process: settings of each space, and names of accounts in Redis."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession

from tests.support.syncs.syncs import REQUEST, STALL_MS, Syncs
from worker.errors import ResumableStop
from worker.jobs.job_payloads import sync_payload
from worker.jobs.services import WorkerServices
from worker.jobs.space_directory import SpaceDirectory, open_spaces
from worker.jobs.store_factories import mavera_account, persona_store
from worker.models.request import SyncRequest
from worker.models.sync import SyncState
from worker.settings import Settings, load_client_config, load_settings
from worker.store import JobQueue, PersonaRecord, StorePool, WorkerRegistry, keys
from worker.store.personas.account_name import account_name
from worker.store.webhooks.outbox_store import OutboxStore

URL = "https://mavera.example/api"
FILE = """
[default]
rate = 20
region = "eu"

[spaces.a]
token = "token-of-a"
base_url = "https://segment.example"
account = "emea"

[spaces.b]
token = "token-of-b"
dialect = "inline"
region = "us"
account = "apac"

[accounts.emea]
api_key = "mvra_live_emea"
rate = 120

[accounts.apac]
api_key = "mvra_live_apac"
base_url = "https://apac.example/api"
gap_s = 1
"""


def directory(
    folder: Path, text: str = FILE, *, needs_secrets: bool = True, **settings: Any
) -> SpaceDirectory[Settings]:
    path = folder / "spaces.toml"
    path.write_text(text)
    found = open_spaces(
        load_settings(**{"mavera_base_url": URL, **settings, "spaces_file": path}), needs_secrets=needs_secrets
    )
    assert found
    return found


def key_of(settings: Settings) -> str:
    return settings.mavera_api_key.get_secret_value() if settings.mavera_api_key else ""


def test_a_space_has_its_own_settings_then_the_defaults_then_the_environment(tmp_path: Path) -> None:
    spaces = directory(tmp_path, mavera_api_key="mvra_live_env", segment_token="token-of-env", segment_rate=7)
    a, b, rest = (spaces.settings_of(name) for name in ("a", "b", "rest"))
    tokens = [one.segment_token.get_secret_value() for one in (a, b, rest) if one.segment_token]
    assert tokens == ["token-of-a", "token-of-b", "token-of-env"]
    assert (a.segment_url("inline"), a.segment_rate, a.segment_region) == ("https://segment.example", 20, "eu")
    assert (b.segment_url("inline"), b.segment_dialect) == ("https://api.segmentapis.com", "inline")
    assert [key_of(one) for one in (a, b, rest)] == ["mvra_live_emea", "mvra_live_apac", "mvra_live_env"]
    assert [one.mavera_base_url for one in (a, b, rest)] == [URL, "https://apac.example/api", URL]
    assert [(one.mavera_rate, one.mavera_gap_s) for one in (a, b, rest)] == [(120, 0.3), (60, 1), (60, 0.3)]
    assert "mavera_rate" not in b.model_fields_set
    assert [spaces.has_dialect(name) for name in ("a", "b")] == [False, True]
    names = [mavera_account(one) for one in (a, b, rest)]
    assert names == ["live.emea", "live.apac", account_name(URL, "mvra_live_env")]
    assert names == [spaces.account_of(name) for name in ("a", "b", "rest")]
    assert {*names} <= {*spaces.accounts()}


def test_a_sync_keeps_its_account_and_fails_without_one(tmp_path: Path) -> None:
    spaces = directory(tmp_path)
    assert key_of(spaces.settings_of("a", "live.apac")) == "mvra_live_apac"
    before = account_name(URL, "mvra_live_x")
    of_before = spaces.settings_of("a", before)
    assert (key_of(of_before), mavera_account(of_before)) == ("mvra_live_emea", before)
    for space, owner in (("rest", ""), ("a", "live.gone")):
        with pytest.raises(ResumableStop) as caught:
            spaces.settings_of(space, owner)
        assert caught.value.code == "account_not_configured"
        assert "SPACES_FILE" in caught.value.hint
    assert spaces.account_of("rest") == ""


def test_the_account_default_has_the_name_of_before(tmp_path: Path) -> None:
    former = account_name(URL, "mvra_live_x")
    for text in (
        '[accounts.default]\napi_key = "mvra_live_x"',
        '[accounts.e]\napi_key = "mvra_live_x"\nrecords = "default"',
    ):
        spaces = directory(tmp_path, text)
        (name,) = spaces.account_names()
        assert mavera_account(spaces.settings_of_account(name)) == former
        assert [*spaces.accounts()] == [former]


def test_a_client_without_secrets_names_no_account_and_uses_no_other_key(tmp_path: Path) -> None:
    text = '[spaces.a]\naccount = "e"\ntoken_file = "gone"\n[accounts.e]\napi_key_file = "gone"'
    spaces = directory(tmp_path, text, needs_secrets=False, mavera_api_key="mvra_live_env")
    assert spaces.account_of("a") == ""
    assert (key_of(spaces.settings_of("a")), mavera_account(spaces.settings_of("a"))) == ("", "live.e")


async def test_records_of_its_own_spaces_move_to_an_account_of_the_file(tmp_path: Path, fake_pool: StorePool) -> None:
    former = account_name(URL, "mvra_live_env")
    records = {name: PersonaRecord(f"per_{name}", name, "growth", sync_id="", n=1) for name in ("a", "rest")}
    for name, record in records.items():
        await fake_pool.hset(keys.personas(former), name, record.encode())  # type: ignore[misc]
    await fake_pool.hset(keys.claim(former, "a2"), mapping={"by": "x", "sync": "s", "at": "1"})  # type: ignore[misc]
    spaces = directory(tmp_path, mavera_api_key="mvra_live_env")
    emea = persona_store(fake_pool, spaces.settings_of("a"))
    assert {*await emea.all_records()} == {"a"}
    assert await emea.find_claim("a2")
    assert {*await persona_store(fake_pool, spaces.settings_of("rest")).all_records()} == {"rest"}


async def test_a_worker_of_several_accounts_gives_each_its_turn(tmp_path: Path, fake_pool: StorePool) -> None:
    spaces = directory(tmp_path)
    queue, syncs = JobQueue(fake_pool, stall_ms=STALL_MS, account_map=spaces), Syncs(fake_pool)
    for number, space in enumerate("aaabr"):
        request = REQUEST.model_copy(update={"space_id": space, "max_profiles": number + 1})
        await syncs.client.create(f"s{number}", request, sync_payload(f"s{number}", "walk", 1), force=True)
    await fake_pool.zadd(keys.QUEUE, {"not a job": 1})
    running: dict[str, str] = {}
    for _ in range(5):
        (job,) = (await queue.take_jobs(1, 60, running=running)).jobs
        running[job.job_id.decode()] = job.account
    assert [*running.values()][:2] == ["live.emea", "live.apac"]
    assert {running[f"s{number}:walk:1"] for number in range(3)} == {"live.emea"}
    for job_id, account in [*running.items()]:
        await queue.drop_job(job_id.encode(), account)
    for number in range(6, 10):
        request = REQUEST.model_copy(update={"space_id": "ab"[number % 2]})
        await syncs.client.create(f"s{number}", request, sync_payload(f"s{number}", "walk", 1), force=True)
    turns = [(await queue.take_jobs(1, 60)).jobs[0].account for _ in range(4)]  # with one slot, too
    assert turns in (["live.emea", "live.apac"] * 2, ["live.apac", "live.emea"] * 2)
    owners = [(await syncs.get(f"s{number}")).owner for number in range(5)]
    assert owners == ["live.emea"] * 3 + ["live.apac", ""]
    assert await fake_pool.zcard(keys.QUEUE) == 0


async def test_a_sync_without_an_account_is_not_lost_while_it_waits(tmp_path: Path, fake_pool: StorePool) -> None:
    queue, syncs = JobQueue(fake_pool, stall_ms=STALL_MS, account_map=directory(tmp_path)), Syncs(fake_pool)
    await syncs.create(request=REQUEST.model_copy(update={"space_id": "rest"}))
    assert (await queue.take_jobs(0, 60)).jobs == []
    assert await fake_pool.zcard(keys.QUEUE) == 0
    following = sync_payload("s1", "walk", 2)
    revive = partial(syncs.watchdog.revive_sync, "s1", SyncState.QUEUED, 1, following, max_revivals=5, message="Lost.")
    await fake_pool.zadd(keys.DUE, {"s1": 1})
    assert await revive() == "waiting"
    await fake_pool.zadd(keys.DUE, {"s1": 1})
    assert await syncs.watchdog.due() == []
    assert [job.job_id for job in (await queue.take_jobs(1, 60)).jobs] == [b"s1:walk:1"]
    await fake_pool.zadd(keys.DUE, {"s1": 1})
    assert await revive() == "revived"
    assert [job.job_id for job in (await queue.take_jobs(1, 60)).jobs] == [b"s1:walk:2"]


async def test_each_space_has_its_services_and_each_account_one_limiter(tmp_path: Path, fake_pool: StorePool) -> None:
    spaces = directory(tmp_path, FILE + '[spaces.c]\ntoken = "token-of-c"\naccount = "emea"\n', segment_rate=7)
    services = WorkerServices(load_settings(), fake_pool, cast(ClientSession, None), spaces=spaces)
    a, b, c = (services.for_request(SyncRequest(space_id=name)) for name in "abc")
    assert a.mavera_limiter is c.mavera_limiter
    assert a.mavera_limiter is not b.mavera_limiter
    assert a.segment_limiter("a") is not c.segment_limiter("c")
    assert services.for_request(SyncRequest(space_id="a")) is a
    assert a.files is b.files is services.files

    changed = FILE.replace("[default]", '[default]\naccount = "emea"').replace("[spaces.a]", "[spaces.other]")
    await services.registry.heartbeat("host", 7)
    await services.outbox.announce()
    for account in ("live.emea", "live.apac"):
        assert [
            one.name for one in await WorkerRegistry(fake_pool, lifetime_s=9, account=account).living_workers()
        ] == ["host:7"]
        assert (await OutboxStore(fake_pool, account).status()).wanted
    assert [one.name for one in await services.registry.living_workers()] == ["host:7"]

    (tmp_path / "spaces.toml").write_text(changed.replace("rate = 120", "rate = 240"))
    spaces.file._look_at = 0
    assert services.for_request(SyncRequest(space_id="b")) is not b
    with pytest.raises(ResumableStop) as caught:
        services.for_request(SyncRequest(space_id="a"))
    assert (caught.value.code, "[spaces.a]" in caught.value.hint) == ("space_not_configured", True)
    again = services.for_request(SyncRequest(space_id="a", file="people.ndjson"))  # a file needs no token
    assert again.settings.mavera_rate == 240
    assert again.mavera_limiter is not a.mavera_limiter


def test_a_client_of_the_environment_knows_the_accounts_of_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spaces.toml"
    path.write_text('[accounts.default]\napi_key = "mvra_live_x"')
    monkeypatch.setenv("MAVERA_BASE_URL", URL)
    monkeypatch.setenv("SPACES_FILE", str(path))
    spaces = open_spaces(load_client_config(), needs_secrets=False)
    assert spaces
    assert spaces.account_of("a") == account_name(URL, "mvra_live_x")
