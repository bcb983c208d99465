"""The `profile-api` dialect: identifiers page by page, traits profile by profile, and no profile in any error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from producer.sandbox import Fault, Sandbox, SandboxOptions, SpaceSpec, profile
from tests.support.servers.web_server import answer, serving
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http.client import new_session
from worker.jobs.api_factories import segment_source
from worker.models.request import SyncRequest
from worker.segment import FetchedProfiles, Page, ProfileApi
from worker.segment.traits_caller import REFUSED_TRIES, TRIES
from worker.settings import load_settings

CHECKS = 3
"""Requests that show whether only this profile fails: another one, this one, and the other one again."""
SPEC = SpaceSpec(250, "wide")
READ = {"ltv", "lifetime_value", "purchase_count", "order_count", "churn_risk", "churn_probability", "industry", "plan"}


async def repeated(send: Callable[[], Awaitable[Any]]) -> Any:
    """A call that is repeated at repeated for as long as it makes sense, then raises what it raised last."""
    for _ in range(TRIES):
        try:
            return await send()
        except Retry as error:
            last = error
    raise last


@asynccontextmanager
async def reading(url: str, *, concurrency: int = 32, **request: Any) -> AsyncIterator[ProfileApi]:
    settings = load_settings(segment_token="sandbox", segment_base_url=url, segment_concurrency=concurrency)
    async with new_session() as session:
        source = segment_source(settings, session, SyncRequest(space_id="s", dialect="profile-api", **request))
        assert isinstance(source, ProfileApi)
        yield source


async def everything(source: ProfileApi) -> tuple[list[Page], list[FetchedProfiles]]:
    pages, entries, cursor = [], [], ""
    while True:
        page = await source.fetch_page(cursor, len(pages) + 1)
        pages.append(page)
        entries.append(await source.fetch_traits(page, len(pages), repeated))
        if page.next_cursor is None:
            return pages, entries
        cursor = page.next_cursor


async def test_every_profile_comes_once_in_order_with_only_the_rules_traits() -> None:
    async with Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox, reading(sandbox.profile_api_url) as source:
        pages, entries = await everything(source)
        assert [len(page.profiles) for page in pages] == [100, 100, 50]
        found = [entry for part in entries for entry in part.profiles]
        for index, entry in enumerate(found):
            traits: Any = profile(SPEC, index)
            assert entry == {"traits": {name: value for name, value in traits["traits"].items() if name in READ}}
        assert len(found) == 250
        assert sandbox.journal.count("segment.traits", 200) == 250


RULES = {
    "name": "mine",
    "traits": [{"name": "tier", "keys": ["engagement_tier"], "type": "category", "max_age_days": 30}],
    "clusters": [{"key": "all"}],
}


async def test_only_keys_of_the_requests_rules_are_read_with_ages_if_needed() -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox,
        reading(sandbox.profile_api_url, rules=RULES) as source,
    ):
        page = await source.fetch_page("", 1)
        (entry, *_) = (await source.fetch_traits(page, 1, repeated)).profiles
        assert set(entry["traits"]) == {"engagement_tier"}
        assert set(entry["traits"]["engagement_tier"]) == {"value", "source_id", "updated_at"}


async def test_a_profile_that_vanished_is_left_out_and_counted() -> None:
    faults = (Fault("segment", "status", route="traits", at=3, times=2, status=404),)
    options = SandboxOptions(spaces={"s": SpaceSpec(10, "wide")}, faults=faults)
    async with Sandbox(options) as sandbox, reading(sandbox.profile_api_url) as source:
        _, entries = await everything(source)
        assert (len(entries[0].profiles), entries[0].vanished) == (8, 2)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("segment", "status", status=429, retry_after="7"), WaitUntil),
        (Fault("segment", "status", status=503), Retry),
        (Fault("segment", "invalid_json"), Retry),
        (Fault("segment", "html"), Retry),
        (Fault("segment", "status", status=401), ResumableStop),
        (Fault("segment", "status", status=403), ResumableStop),
        (Fault("segment", "status", status=400), Permanent),
    ],
)
@pytest.mark.parametrize("route", ["profiles", "traits"])
async def test_a_failure_is_the_same_in_both_requests_and_names_no_profile(
    fault: Fault, error: type[Exception], route: str
) -> None:
    options = SandboxOptions(spaces={"s": SpaceSpec(3, "wide")})
    async with Sandbox(options) as sandbox, reading(sandbox.profile_api_url) as source:
        page = await source.fetch_page("", 1)
        ids = [row["segment_id"] for row in page.profiles if isinstance(row, dict)]
        sandbox.add_fault(Fault("segment", fault.kind, route=route, status=fault.status, retry_after=fault.retry_after))
        with pytest.raises(error) as raised:
            await (source.fetch_page("", 1) if route == "profiles" else source.fetch_traits(page, 1, repeated))
        assert "space s" in str(raised.value)
        assert not any(identifier in str(raised.value) for identifier in ids)


@pytest.mark.parametrize("status", [400, 401, 403, 418, 422, 429, 500])
async def test_an_error_of_one_profile_shows_only_status_code_and_path(
    status: int,
) -> None:
    said = {"code": "profile_locked", "message": "use_own1 (Person1 Familyname1) is locked"}
    listed = answer(body=orjson.dumps({"data": [{"segment_id": "use_own1"}]}))
    refused = answer(status, orjson.dumps({"error": said}), {"Request-Id": "req-7"})
    async with serving(listed, refused) as server, reading(server.url) as source:
        page = await source.fetch_page("", 1)
        with pytest.raises(ApiError) as raised:
            await source.fetch_traits(page, 1, repeated)
        message = str(raised.value)
        assert f"space s, traits of a profile of page 1: {status} profile_locked" in message
        assert message.endswith("(Request-Id req-7)")
        assert not any(word in message for word in ("use_own1", "Person1", "is locked"))


@pytest.mark.parametrize("code", ["use_own1", "someone@personal.example", "Person Familyname", "x" * 41])
async def test_a_malformed_code_is_not_repeated_either(code: str) -> None:
    listed = answer(body=orjson.dumps({"data": [{"segment_id": "use_own1"}]}))
    refused = answer(400, orjson.dumps({"error": {"code": code}}))
    async with serving(listed, refused) as server, reading(server.url) as source:
        page = await source.fetch_page("", 1)
        with pytest.raises(Permanent) as raised:
            await source.fetch_traits(page, 1, repeated)
        assert str(raised.value) == "Segment, space s, traits of a profile of page 1: 400"


async def test_what_segment_says_of_the_list_is_quoted() -> None:
    refused = answer(403, orjson.dumps({"error": {"message": "no such token"}}))
    async with serving(refused) as server, reading(server.url) as source:
        with pytest.raises(ResumableStop, match="403 no such token"):
            await source.fetch_page("", 1)


async def test_an_entry_that_is_not_a_profile_keeps_its_place() -> None:
    async with Sandbox(SandboxOptions(spaces={"s": SPEC})) as sandbox, reading(sandbox.profile_api_url) as source:
        rows: list[object] = [None, "use_1", {"segment_id": ""}, {"segment_id": 7.5}, {"id": ".."}, {"id": "x" * 2000}]
        entries = await source.fetch_traits(Page(rows, None), 1, repeated)
        assert entries == FetchedProfiles([None] * 6)
        assert sandbox.journal.count("segment.traits") == 0


async def test_an_identifier_may_be_a_number() -> None:
    async with serving(answer(200, b'{"traits": {"ltv": 5}}')) as web, reading(web.url) as source:
        entries = await source.fetch_traits(Page([{"segment_id": 7}], None), 1, repeated)
        assert entries.profiles == [{"traits": {"ltv": 5}}]
        assert web.requests[0].target.startswith("/spaces/s/collections/users/profiles/7/traits?")


async def test_traits_of_many_pages_are_put_together() -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(1, "wide")})) as sandbox,
        reading(sandbox.profile_api_url) as source,
    ):
        source.trait_params["limit"] = "2"  # fewer than the profile has
        _, entries = await everything(source)
        traits: Any = profile(SpaceSpec(1, "wide"), 0)
        assert entries[0].profiles == [{"traits": {n: v for n, v in traits["traits"].items() if n in READ}}]
        assert sandbox.journal.count("segment.traits") > 1


async def test_verbose_values_are_understood() -> None:
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(1, "wide")})) as sandbox,
        reading(sandbox.profile_api_url) as source,
    ):
        _, plain = await everything(source)
        source.trait_params["verbose"] = "true"
        _, verbose = await everything(source)
        assert verbose == plain


async def test_a_class_of_traits_can_be_asked_for() -> None:
    options = SandboxOptions(spaces={"s": SpaceSpec(1, "wide")})
    async with Sandbox(options) as sandbox, reading(sandbox.profile_api_url, trait_class="computed_trait") as source:
        _, entries = await everything(source)
        entry: Any = entries[0].profiles[0]
        assert "ltv" in entry["traits"]
        assert "industry" not in entry["traits"]


# A profile that cannot be read

POISONS = {
    "500": (Fault("segment", "status", route="traits", profile=7, status=500), TRIES),
    "400": (Fault("segment", "status", route="traits", profile=7, status=400), REFUSED_TRIES),
    "403": (Fault("segment", "status", route="traits", profile=7, status=403), REFUSED_TRIES),
    "418": (Fault("segment", "status", route="traits", profile=7, status=418), REFUSED_TRIES),
    "401": (Fault("segment", "status", route="traits", profile=7, status=401), 1),
    "null": (Fault("segment", "body", route="traits", profile=7, content="null"), TRIES),
    "a list": (Fault("segment", "body", route="traits", profile=7, content="[]"), TRIES),
    "no JSON": (Fault("segment", "body", route="traits", profile=7, content="{"), TRIES),
    "nothing": (Fault("segment", "body", route="traits", profile=7, content="{}"), TRIES),
    "an error": (Fault("segment", "body", route="traits", profile=7, content='{"cursor": {}, "errors": [{}]}'), TRIES),
    "traits of another kind": (Fault("segment", "body", route="traits", profile=7, content='{"traits": 7}'), TRIES),
    "an answer cut short": (Fault("segment", "truncate", route="traits", profile=7), TRIES),
}


@pytest.mark.parametrize("poison", POISONS)
async def test_a_profile_that_alone_cannot_be_read_is_left_out_after_a_few_attempts(poison: str) -> None:
    fault, tries = POISONS[poison]
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(20, "wide")}, faults=(fault,))) as sandbox,
        reading(sandbox.profile_api_url, concurrency=1) as source,
    ):
        page = await source.fetch_page("", 1)
        entries = await source.fetch_traits(page, 1, repeated)
        assert (len(entries.profiles), entries.unreadable, entries.vanished) == (19, 1, 0)
        assert sandbox.journal.count("segment.traits") == 19 + tries + CHECKS


@pytest.mark.parametrize("content", ['{"cursor": {}}', '{"traits": null}', '{"traits": [], "cursor": {"next": ""}}'])
async def test_an_answer_without_traits_is_a_profile_without_traits(content: str) -> None:
    fault = Fault("segment", "body", route="traits", profile=1, content=content)
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(3, "wide")}, faults=(fault,))) as sandbox,
        reading(sandbox.profile_api_url) as source,
    ):
        entries = await source.fetch_traits(await source.fetch_page("", 1), 1, repeated)
        assert (entries.profiles[1], len(entries.profiles), entries.unreadable) == ({"traits": {}}, 3, 0)


@pytest.mark.parametrize("status", [500, 400, 403, 401])
@pytest.mark.parametrize(("size", "poisoned", "start"), [(20, 0, 0), (101, 100, 100)])
async def test_a_profile_that_is_asked_for_before_any_other_is_left_out_too(
    status: int, size: int, poisoned: int, start: int
) -> None:
    # The first profile of all; and the only one of the last page, which a new job reads.
    fault = Fault("segment", "status", route="traits", profile=poisoned, status=status)
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(size, "wide")}, faults=(fault,))) as sandbox,
        reading(sandbox.profile_api_url, concurrency=1) as source,
    ):
        page = await source.fetch_page("", 1)
        if start:
            page = await source.fetch_page(page.next_cursor or "", 2)
        entries = await source.fetch_traits(page, 1, repeated)
        assert (len(entries.profiles), entries.unreadable) == (len(page.profiles) - 1, 1)


@pytest.mark.parametrize(("status", "error"), [(500, Retry), (400, Permanent), (403, ResumableStop)])
async def test_where_no_profile_can_be_read_none_is_left_out(status: int, error: type[Exception]) -> None:
    fault = Fault("segment", "status", route="traits", status=status)
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(5, "wide")}, faults=(fault,))) as sandbox,
        reading(sandbox.profile_api_url) as source,
    ):
        with pytest.raises(error):
            await source.fetch_traits(await source.fetch_page("", 1), 1, repeated)


async def test_an_outage_that_begins_in_the_middle_leaves_no_profile_out() -> None:
    fault = Fault("segment", "status", route="traits", at=15, times=0, status=500)
    async with (
        Sandbox(SandboxOptions(spaces={"s": SpaceSpec(20, "wide")}, faults=(fault,))) as sandbox,
        reading(sandbox.profile_api_url, concurrency=1) as source,
    ):
        with pytest.raises(Retry):
            await source.fetch_traits(await source.fetch_page("", 1), 1, repeated)
        assert sandbox.journal.answered["segment.traits", 200] == 14


@pytest.mark.parametrize(
    ("region", "profile_api", "inline"),
    [
        ("us", "https://profiles.segment.com/v1", "https://api.segmentapis.com"),
        ("eu", "https://profiles.euw1.segment.com/v1", "https://eu1.api.segmentapis.com"),
    ],
)
def test_each_dialect_has_an_address_in_each_region(region: str, profile_api: str, inline: str) -> None:
    assert load_settings(segment_region=region).segment_url("profile-api") == profile_api
    assert load_settings(segment_region=region).segment_url("inline") == inline
    assert load_settings(segment_base_url="http://x", segment_region=region).segment_url("profile-api") == "http://x"
