"""`auto`: each dialect is asked once, the one that answers is kept, and if none does, both answers are in the error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.servers.scripted_segment import Call, Refusal, people, rows, scripted
from worker.errors import ApiError, Permanent, ResumableStop, Retry
from worker.http.client import new_session
from worker.jobs.api_factories import dialect_urls, segment_source
from worker.models.request import SyncRequest
from worker.segment import AutoSource, DialectVariant
from worker.settings import FixedDialect, Settings, load_settings
from worker.store import StorePool
from worker.store.dialects import DialectStore

END = {"next": None, "has_more": False}


def inline(call: Call) -> object:
    return {"data": {"profiles": people(0, 5), "cursor": END}}


def profile_api(call: Call) -> object:
    if not call.authorization.startswith("Basic "):
        return Refusal(401, b'{"error": {"message": "Basic is needed"}}')
    if "/traits" in call.path:
        return {"traits": {"ltv": 1}, "cursor": END}
    return {"data": rows(0, 5), "cursor": END}


@asynccontextmanager
async def source_of(url: str, pool: StorePool) -> AsyncIterator[AutoSource]:
    async with new_session() as session:
        settings = settings_of(url)
        memory = DialectStore(pool, "spa", tuple(dialect_urls(settings).values()))
        source = segment_source(settings, session, SyncRequest(space_id="spa"), memory=memory)
        assert isinstance(source, AutoSource)
        yield source


def settings_of(url: str) -> Settings:
    return load_settings(segment_token="token", segment_base_url=url, segment_dialect="auto")


@pytest.mark.parametrize(("answer", "dialect", "asked"), [(inline, "inline", 1), (profile_api, "profile-api", 2)])
async def test_the_dialect_that_answers_is_kept(
    fake_pool: StorePool, answer: object, dialect: FixedDialect, asked: int
) -> None:
    async with scripted({"spa": answer}) as segment:  # type: ignore[dict-item]
        async with source_of(segment.url, fake_pool) as source:
            page = await source.fetch_page("", 1)
            assert (source.dialect, len(page.profiles)) == (dialect, 5)
            assert len((await source.fetch_traits(page, 1, lambda send: send())).profiles) == 5
            lists = [call for call in segment.calls["spa"] if "/traits" not in call.path]
            assert len(lists) == asked
        before = len(segment.calls["spa"])
        async with source_of(segment.url, fake_pool) as again:
            await again.fetch_page("", 1)
            assert (again.dialect, len(segment.calls["spa"])) == (dialect, before + 1)


async def test_a_remembered_dialect_that_is_refused_is_looked_for_again(fake_pool: StorePool) -> None:
    async with scripted({"spa": inline}) as segment:
        async with source_of(segment.url, fake_pool) as source:
            await source.fetch_page("", 1)
        segment.spaces["spa"] = profile_api
        async with source_of(segment.url, fake_pool) as source:
            with pytest.raises(ApiError):
                await source.fetch_page("c1", 2)  # in the middle of a listing its dialect does not change
            assert len((await source.fetch_page("", 1)).profiles) == 5
            assert source.dialect == "profile-api"
        before = len(segment.calls["spa"])
        async with source_of(segment.url, fake_pool) as source:
            await source.fetch_page("", 1)
        assert len(segment.calls["spa"]) == before + 1


def basic_inline(call: Call) -> object:
    return inline(call) if call.authorization.startswith("Basic ") and "/profiles" in call.path else Refusal(401)


def bearer_profile_api(call: Call) -> object:
    if not call.authorization.startswith("Bearer "):
        return Refusal(403)
    if "/traits" in call.path:
        return {"traits": {"ltv": 1}, "cursor": END}
    return {"data": rows(0, 5), "cursor": END}


@pytest.mark.parametrize(
    ("answer", "way"),
    [(basic_inline, DialectVariant("inline", True)), (bearer_profile_api, DialectVariant("profile-api", True))],
)
async def test_a_dialect_that_wants_the_token_in_the_other_scheme_is_found_and_kept(
    fake_pool: StorePool, answer: object, way: DialectVariant
) -> None:
    async with scripted({"spa": answer}) as segment:  # type: ignore[dict-item]
        async with source_of(segment.url, fake_pool) as source:
            page = await source.fetch_page("", 1)
            assert (source.variant, len(page.profiles)) == (way, 5)
            assert len((await source.fetch_traits(page, 1, lambda send: send())).profiles) == 5
        before = len(segment.calls["spa"])
        async with source_of(segment.url, fake_pool) as again:
            await again.fetch_page("", 1)
            assert (again.variant, len(segment.calls["spa"])) == (way, before + 1)


async def test_a_token_that_is_refused_in_every_way_is_asked_with_four_times(fake_pool: StorePool) -> None:
    async with scripted({"spa": lambda _: Refusal(401)}) as segment, source_of(segment.url, fake_pool) as source:
        with pytest.raises(ResumableStop) as caught:
            await source.fetch_page("", 1)
    assert caught.value.code == "segment_unauthorized"
    schemes = [call.authorization.partition(" ")[0] for call in segment.calls["spa"]]
    assert schemes == ["Bearer", "Basic", "Basic", "Bearer"]


async def test_the_answers_of_both_tries_are_in_the_error(fake_pool: StorePool) -> None:
    def refuse(call: Call) -> Refusal:
        basic = call.authorization.startswith("Basic ")
        return Refusal(
            403 if basic else 404, b'{"error": {"message": "%b"}}' % (b"no access" if basic else b"no route")
        )

    async with scripted({"spa": refuse}) as segment, source_of(segment.url, fake_pool) as source:
        with pytest.raises(ResumableStop, match=r"404 no route.+asked as profile-api.+403 no access") as caught:
            await source.fetch_page("", 1)
    message = caught.value.hint
    order = ["(SEGMENT_DIALECT)", "(SEGMENT_REGION)", "kind of token", "token belongs to this space", "Unify"]
    places = [message.rindex(words) for words in order]
    assert places == sorted(places)


@pytest.mark.parametrize(("status", "kind"), [(500, Retry), (429, Retry), (400, Permanent)])
async def test_what_does_not_speak_of_the_dialect_chooses_none(
    fake_pool: StorePool, status: int, kind: type[ApiError]
) -> None:
    async with scripted({"spa": lambda _: Refusal(status)}) as segment, source_of(segment.url, fake_pool) as source:
        with pytest.raises(kind):
            await source.fetch_page("", 1)
        assert source.dialect is None
        assert len(segment.calls["spa"]) == (2 if status == 400 else 1)


async def test_a_listing_continues_though_redis_has_forgotten_the_dialect(fake_pool: StorePool) -> None:
    async with scripted({"spa": profile_api}) as segment, source_of(segment.url, fake_pool) as source:
        assert len((await source.fetch_page("c5", 2)).profiles) == 5
        assert [call.cursor for call in segment.calls["spa"]] == ["", "", "c5"]


@pytest.mark.parametrize(
    ("options", "dialect"),
    [
        ({}, "auto"),
        ({"dialect": "auto"}, "auto"),
        ({"strategy": "fan-out"}, "inline"),
        ({"trait_class": "audience"}, "profile-api"),
        ({"file": "x"}, "auto"),
        ({"dialect": "inline"}, "inline"),
    ],
)
def test_what_only_one_dialect_can_do_chooses_it(options: dict[str, object], dialect: str) -> None:
    request = SyncRequest.model_validate({"space_id": "spa", **options})
    assert request.dialect == dialect
    assert SyncRequest.from_stored(request.model_dump_json()) == request


def test_an_old_version_can_read_a_default_request_and_its_own_mean_inline() -> None:
    assert "dialect" not in SyncRequest(space_id="spa").model_dump_json()
    assert SyncRequest.from_stored('{"space_id": "spa", "dialect": "inline"}').dialect == "inline"


def test_each_dialect_is_asked_in_the_region() -> None:
    settings = load_settings(segment_token="token", segment_base_url=None, segment_region="eu")
    assert dialect_urls(settings) == {
        "inline": "https://eu1.api.segmentapis.com",
        "profile-api": "https://profiles.euw1.segment.com/v1",
    }
