"""Accounts know nothing of each other, and the spellings of one URL are one account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.syncs.persona_records import CREATED, RECORD
from tests.support.syncs.syncs import Syncs
from worker.models.sync import SyncState
from worker.store import PersonaStore, StorePool
from worker.store.personas.account_name import account_name, former_account_name


async def test_accounts_know_nothing_of_each_other(pool: StorePool) -> None:
    live = account_name("https://mavera.example/api", "mvra_live_1")
    test = account_name("https://mavera.example/api", "mvra_test_1")
    elsewhere = account_name("https://mavera.example/v2", "mvra_live_1")
    assert len({live, test, elsewhere}) == 3
    assert live == account_name("https://mavera.example/api", "mvra_live_2")
    await PersonaStore(pool, live).record("reference", RECORD, CREATED)
    assert await PersonaStore(pool, test).find_record("reference") is None
    assert await PersonaStore(pool, live).find_record("reference") == RECORD


@pytest.mark.parametrize(
    "spelling",
    [
        "https://MAVERA.example/api",
        "https://mavera.example:443/api",
        "https://mavera.example./api",
        "https://mavera.example//api/",
    ],
)
async def test_spellings_of_one_url_are_one_account(pool: StorePool, spelling: str) -> None:
    plain = "https://mavera.example/api"
    account = account_name(spelling, "mvra_live_1")
    former = former_account_name(spelling, "mvra_live_1")
    assert account == account_name(plain, "mvra_live_1")
    assert former_account_name(plain, "mvra_live_1") == ""
    # What an earlier version kept under the spelling is found, moved, and counts.
    earlier = PersonaStore(pool, former)
    await earlier.record("reference", RECORD, CREATED)
    await earlier.record("another", replace(RECORD, persona_id="per_2"), CREATED)
    lease = await Syncs(pool).lease(SyncState.FINALIZING)
    await earlier.claim(lease, "doubtful", "by")
    store = PersonaStore(pool, account, former)
    assert await store.find_record("reference") == RECORD
    assert await PersonaStore(pool, account).find_record("reference") == RECORD
    assert set(await store.all_records()) == {"reference", "another"}
    assert await earlier.all_records() == {}
    assert (await store.claim(lease, "another", "by")).kind == "recorded"
    held = await store.claim(lease, "doubtful", "other")
    assert held.claim
    assert held.claim.by == "by"
    await store.record("doubtful", replace(RECORD, persona_id="per_3"), CREATED)
    assert await store.find_claim("doubtful") is None
    await store.delete_record("doubtful", replace(RECORD, persona_id="per_3"))
    await earlier.claim(lease, "doubtful", "by")
    assert await store.release_claim("doubtful", "by")
    assert (await store.claim(lease, "doubtful", "other")).kind == "won"


def test_names_of_this_machine_are_one_and_other_parts_of_a_url_count() -> None:
    names = {account_name(f"http://{host}:8080/api", "k") for host in ("localhost", "127.0.0.1", "[::1]", "LOCALHOST")}
    assert len(names) == 1
    urls = ["http://m/api", "https://m/api", "https://m:8443/api", "https://m/API", "https://m/api/v1", "https://n/api"]
    assert len({account_name(url, "k") for url in urls}) == len(urls)
