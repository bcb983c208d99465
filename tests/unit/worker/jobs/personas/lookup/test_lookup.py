"""What is at Mavera already: presence is believed at once, absence only of a listing that was complete."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions
from tests.support.clocks.fake_time import FakeTime, services_for
from tests.support.servers.web_server import Request, answer, serving
from worker.clusters.analysis.change_detection import PersonaFigures
from worker.errors import ResumableStop
from worker.http.client import new_session
from worker.jobs.api_caller import ApiCaller, Defer
from worker.jobs.composition.finalize_jobs import persona_finder, persona_lister
from worker.jobs.personas.lookup.persona_finder import PersonaInDoubt
from worker.jobs.personas.lookup.persona_list import READS, Lookup, cluster_reference, find_twins
from worker.jobs.services import WorkerServices
from worker.mavera import Persona, PersonaPayload, Reference, listing
from worker.models.outcome import PersonaOutcome
from worker.models.request import SyncRequest
from worker.store import PersonaRecord, StorePool

FAMILY = "0123456789"


def reference(number: int, family: str = FAMILY) -> Reference:
    return Reference(family, f"{number:08x}")


def payload(text: str) -> PersonaPayload:
    return PersonaPayload(
        "Segment CDP", text, {}, {"cluster": "c"}, wording="", figures=PersonaFigures(0.0, {}, {}), extra={}
    )


@asynccontextmanager
async def at(url: str, pool: StorePool) -> AsyncIterator[tuple[WorkerServices, ApiCaller, FakeTime]]:
    """A worker whose Mavera is at `url`."""
    time = FakeTime(pool)
    async with new_session() as session:
        services = services_for(pool, session, time, url)
        yield services, services.mavera_caller(), time


async def look_up(services: WorkerServices, caller: ApiCaller) -> Lookup:
    return (await persona_lister(services, caller).list(FAMILY)).lookup(FAMILY)


async def buy(services: WorkerServices, text: str) -> str:
    return (await services.mavera.create(payload(text), lambda: True)).id


def listed(persona_id: str, description: str, created_at: object = None) -> dict[str, object]:
    return {"id": persona_id, "description": description, "created_at": created_at}


async def found_in(pool: StorePool, *pages: object) -> Lookup:
    """What a look-up finds in these list bodies."""
    bodies = [answer(200, orjson.dumps(page)) for page in pages]
    async with serving(*bodies) as web, at(web.url, pool) as (services, caller, _):
        return await look_up(services, caller)


# References


def test_a_cluster_keeps_its_reference_from_sync_to_sync() -> None:
    request = SyncRequest(space_id="spa_1")
    mine = cluster_reference(request, "syn_1", "growth")
    assert mine == cluster_reference(SyncRequest(space_id="spa_1", max_profiles=9), "syn_2", "growth")
    assert mine.family == cluster_reference(request, "syn_1", "new").family
    assert mine.cluster != cluster_reference(request, "syn_1", "new").cluster
    assert mine.family != cluster_reference(SyncRequest(space_id="spa_2"), "syn_1", "growth").family


def test_in_mode_create_the_references_are_the_syncs_own() -> None:
    request = SyncRequest(space_id="spa_1", mode="create")
    families = {cluster_reference(request, sync_id, "growth").family for sync_id in ("syn_1", "syn_2")}
    assert len(families) == 2
    assert cluster_reference(SyncRequest(space_id="spa_1"), "syn_1", "growth").family not in families


# What is found


async def test_an_account_without_personas_is_known_to_have_none(fake_pool: StorePool) -> None:
    async with Sandbox(SandboxOptions({}, stock_personas=3)) as box, at(box.url, fake_pool) as (services, caller, _):
        assert await look_up(services, caller) == Lookup(run="embedded", unsettled_s=0.0, complete=True, found={})


async def test_a_family_is_found_over_as_many_pages_as_it_takes(fake_pool: StorePool) -> None:
    async with Sandbox(SandboxOptions({})) as box, at(box.url, fake_pool) as (services, caller, _):
        bought = {str(reference(n)): await buy(services, f"ours {reference(n)}") for n in range(101)}
        result = await look_up(services, caller)
        assert box.journal.count("mavera.list") == 2
    assert result.complete
    assert result.found == bought


async def test_a_persona_that_only_quotes_a_reference_is_not_ours(fake_pool: StorePool) -> None:
    other = reference(1, "9876543210")
    async with Sandbox(SandboxOptions({})) as box, at(box.url, fake_pool) as (services, caller, _):
        await buy(services, f"quotes {reference(1)} but is {other}")
        await buy(services, f"mentions {FAMILY} only")
        mine = await buy(services, f"quotes {other} but is {reference(2)}")
        assert (await look_up(services, caller)).found == {str(reference(2)): mine}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("per_b", "2026-01-01T00:00:00Z"), ("per_a", "2026-01-02T00:00:00Z")),
        (("per_a", "2026-01-01T00:00:00Z"), ("per_b", "2026-01-01T00:00:00Z")),
        (("per_a", None), ("per_b", None)),
        (("per_b", 1_700_000_000), ("per_a", 1_700_000_001)),
    ],
)
async def test_of_two_with_one_reference_every_look_up_names_the_same(
    fake_pool: StorePool, first: tuple[str, object], second: tuple[str, object], turned: bool
) -> None:
    pages = [
        {"data": [listed(persona_id, str(reference(1)), created_at)]}
        for persona_id, created_at in ((second, first) if turned else (first, second))
    ]
    result = await found_in(fake_pool, {**pages[0], "next_cursor": "c"}, pages[1])
    assert result.found == {str(reference(1)): first[0]}


def test_twins_are_named_oldest_first_and_a_repeated_row_is_none() -> None:
    rows = [
        Persona(id="per_b", description=f"copied {reference(1)}", created_at="2026-01-02"),
        Persona(id="per_c", description=f"alone {reference(2)}", created_at="2026-01-01"),
        Persona(id="per_a", description=f"bought {reference(1)}", created_at="2026-01-01"),
        Persona(id="per_c", description=f"alone {reference(2)}", created_at="2026-01-01"),
        Persona(id="per_d", description="by hand"),
    ]
    assert find_twins(rows) == find_twins(reversed(rows)) == {str(reference(1)): ("per_a", "per_b")}
    assert find_twins([]) == {}


async def test_a_look_up_names_the_twins_of_its_family(fake_pool: StorePool) -> None:
    rows = [listed(f"per_{n}", str(reference(1)), f"2026-01-0{n}") for n in (3, 1, 2)]
    others = [listed(f"per_{n}", str(reference(1, "9876543210"))) for n in (4, 5)]
    result = await found_in(fake_pool, {"data": rows + others})
    assert result.twins == {str(reference(1)): ("per_1", "per_2", "per_3")}
    assert result.listed == {"per_1", "per_2", "per_3"}


# How complete it is


def _page(*numbers: int, cursor: str | None = None) -> dict[str, object]:
    rows = [listed(f"per_{n}", f"ours {reference(n)}") for n in numbers]
    return {"data": rows, "has_more": cursor is not None, "next_cursor": cursor}


async def test_a_list_whose_order_changes_between_its_pages_is_read_again(fake_pool: StorePool) -> None:
    """Persona 4 moves to the front after the first page is read, so neither page lists it."""
    moved = [_page(1, 2, cursor="c"), _page(2, 3)]
    bodies = [answer(200, orjson.dumps(page)) for page in [*moved, _page(4, 1, cursor="c"), _page(2, 3)]]
    async with serving(*bodies) as web, at(web.url, fake_pool) as (services, caller, _):
        result = await look_up(services, caller)
        assert _cursors(web.requests) == ["", "c"] * 2
    assert result.complete
    assert result.listed == {"per_1", "per_2", "per_3", "per_4"}


async def test_a_list_that_always_repeats_a_row_is_read_a_few_times_and_believed(fake_pool: StorePool) -> None:
    pages = [_page(1, 2, cursor="c"), _page(1, 3)] * READS
    async with serving(*(answer(200, orjson.dumps(page)) for page in pages)) as web:
        async with at(web.url, fake_pool) as (services, caller, _):
            result = await look_up(services, caller)
        assert len(web.requests) == 2 * READS
    assert (result.complete, result.listed) == (True, {"per_1", "per_2", "per_3"})


async def test_a_full_page_that_names_no_next_is_not_complete_but_believed(fake_pool: StorePool) -> None:
    page = {"data": [listed(f"per_{n}", str(reference(n))) for n in range(100)]}
    result = await found_in(fake_pool, page)
    assert not result.complete
    assert len(result.found) == 100


@pytest.mark.parametrize("end", [{"has_more": True}, {"cursor": {"next": ["c"]}}, {"cursor": {"has_more": True}}])
async def test_a_listing_that_breaks_off_is_not_complete(fake_pool: StorePool, end: dict[str, object]) -> None:
    assert not (await found_in(fake_pool, {"data": [], **end})).complete


async def test_a_listing_whose_cursor_repeats_ends_at_once_and_is_not_complete(fake_pool: StorePool) -> None:
    async with serving(answer(200, b'{"data": [], "next_cursor": "c"}')) as web:
        async with at(web.url, fake_pool) as (services, caller, _):
            result = await look_up(services, caller)
        assert not result.complete
        assert result.why == "its cursor repeats"
        assert _cursors(web.requests) == ["", "c"]


async def test_a_listing_without_end_ends_and_is_not_complete(fake_pool: StorePool) -> None:
    bodies = [orjson.dumps({"data": [], "next_cursor": f"c{n}"}) for n in range(listing.MAX_PAGES + 1)]
    async with serving(*(answer(200, body) for body in bodies)) as web:
        async with at(web.url, fake_pool) as (services, caller, _):
            result = await look_up(services, caller)
        assert not result.complete
        assert len(web.requests) == listing.MAX_PAGES


def _cursors(requests: list[Request]) -> list[str]:
    return [request.target.partition("&cursor=")[2] for request in requests]


# What is in the way


async def test_a_page_that_fails_is_asked_for_again_with_its_own_cursor(fake_pool: StorePool) -> None:
    answers = [
        answer(200, b'{"data": [], "next_cursor": "c"}'),
        answer(503),
        answer(200, b"no list"),
        answer(200, b'{"data": []}'),
    ]
    async with serving(*answers) as web, at(web.url, fake_pool) as (services, caller, time):
        assert (await look_up(services, caller)).complete
    assert _cursors(web.requests) == ["", "c", "c", "c"]
    assert len(time.naps) == 2


async def test_a_wrong_key_stops_at_the_first_request(fake_pool: StorePool) -> None:
    options = SandboxOptions({}, mavera_key="mvra_test_other")
    async with Sandbox(options) as box, at(box.url, fake_pool) as (services, caller, _):
        with pytest.raises(ResumableStop) as caught:
            await look_up(services, caller)
        assert box.journal.count("mavera") == 1
    assert caught.value.code == "mavera_unauthorized"


async def test_a_long_list_is_read_to_its_end_although_the_limit_makes_it_wait(fake_pool: StorePool) -> None:
    pages = [answer(200, b'{"data": [], "next_cursor": "%d"}' % n) for n in range(3)]
    wait = answer(429, headers={"Retry-After": "60"})
    answers = [pages[0], wait, *pages[1:], answer(200, b'{"data": []}')]
    async with serving(*answers) as web, at(web.url, fake_pool) as (services, caller, time):
        assert (await look_up(services, caller)).complete
    assert len(web.requests) == 5
    assert sum(time.naps) >= 59


async def test_a_long_wait_hands_the_sync_over(fake_pool: StorePool) -> None:
    options = SandboxOptions({}, faults=(Fault("mavera", "status", status=429, retry_after="60"),))
    async with Sandbox(options) as box, at(box.url, fake_pool) as (services, caller, _):
        with pytest.raises(Defer):
            await look_up(services, caller)


# Remembering it


def test_a_look_up_is_remembered_whole() -> None:
    result = Lookup(run="r", unsettled_s=1.5, complete=True, found={str(reference(1)): "per_1"})
    assert Lookup.decode(result.model_dump_json()) == result


@pytest.mark.parametrize("text", ["", "null", "{}", "nonsense", '{"run": 1}'])
def test_a_malformed_look_up_is_read_as_none(text: str) -> None:
    assert Lookup.decode(text) is None


# Whether there is surely none


async def find(services: WorkerServices, caller: ApiCaller) -> str | None:
    finder = persona_finder(services, caller, SyncRequest(space_id="spa_1"), "syn_1")
    mine = cluster_reference(SyncRequest(space_id="spa_1"), "syn_1", "growth")
    return await finder.find(replace(payload(f"Growth segment {mine}"), name="Segment CDP: Growth"), mine)


async def test_more_rows_than_are_read_stay_in_doubt_when_looked_up_again(fake_pool: StorePool) -> None:
    numbers = itertools.count()

    async def page() -> AsyncIterator[bytes]:
        n = next(numbers)
        yield answer(200, orjson.dumps({"data": [listed(f"per_{n}", f"by hand {n}")], "next_cursor": f"c{n}"}))

    async with serving(page) as web, at(web.url, fake_pool) as (services, caller, _):
        with pytest.raises(PersonaInDoubt, match="does not find ours") as caught:
            await find(services, caller)
        assert "personas adopt" in caught.value.hint
        assert {request.method for request in web.requests} == {"GET"}


async def test_in_an_account_without_custom_personas_there_is_surely_none(fake_pool: StorePool) -> None:
    options = SandboxOptions({}, stock_personas=60, mavera_shown=0, mavera_reads=False)
    async with Sandbox(options) as box, at(box.url, fake_pool) as (services, caller, _):
        assert await find(services, caller) is None


async def test_a_recorded_persona_of_another_space_is_neither_taken_nor_doubted(
    fake_pool: StorePool,
) -> None:
    options = SandboxOptions({}, mavera_shown=40, mavera_reads=False)
    async with Sandbox(options) as box, at(box.url, fake_pool) as (services, caller, _):
        theirs = box.add_persona({"name": "Segment CDP: Growth", "description": f"Growth segment. {reference(1)}"})
        with pytest.raises(PersonaInDoubt, match=theirs.id):
            await find(services, caller)
        record = PersonaRecord(theirs.id, "spa_2", "growth", "syn_0", n=20)
        await services.personas.record(str(reference(1)), record, PersonaOutcome("growth", theirs.id, "created", 300))
        assert await find(services, caller) is None
        box.set_options(mavera_reads=True)
        await services.personas.delete_record(str(reference(1)), record)
        assert await find(services, caller) is None
