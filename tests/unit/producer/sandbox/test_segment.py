"""Segment in the sandbox: both dialects, every cursor form, the limit of a space; and the same of prebuilt pages."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import Mapping
from time import monotonic, time
from typing import Any

import aiohttp
import pytest

from producer.sandbox import (
    CURSOR_FORMS,
    Fault,
    Sandbox,
    SandboxOptions,
    SpaceSpec,
    profile,
    profiles,
)
from producer.sandbox.rate_limit import SlidingWindow
from tests.support.sandbox.page_ring import ring_index
from tests.support.sandbox.prebuilt_sandbox import PrebuiltSandbox

BEARER = {"Authorization": "Bearer sandbox"}
BASIC = {"Authorization": "Basic " + b64encode(b"sandbox:").decode()}
USERS = "/spaces/spa_1/collections/users/profiles"


BOTH_SANDBOXES = pytest.mark.parametrize("sandbox_type", [Sandbox, PrebuiltSandbox])


def one_space(spec: SpaceSpec, sandbox_type: type[Sandbox] = Sandbox, **options: Any) -> Sandbox:
    return sandbox_type(SandboxOptions({"spa_1": spec}, **options))


async def get(
    box: Sandbox, path: str, headers: Mapping[str, str] = BEARER, **params: str | int
) -> tuple[int, Mapping[str, str], Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(box.url + path, headers=headers, params=params) as response,
    ):
        return response.status, response.headers, await response.json()


def next_of(body: Mapping[str, Any]) -> str | None:
    """Reads any form of the cursor as APIS.md says: the reader that the forms are checked against."""
    found: Any = None
    for holder in (body["data"], body):
        for name in ("cursor", "pagination"):
            found = holder.get(name, found)
    if isinstance(found, dict):
        return None if found.get("has_more") is False else found.get("next") or None
    return found or None


async def walk(box: Sandbox, limit: int, include: str = "traits", path: str = USERS) -> list[list[object]]:
    pages: list[list[object]] = []
    params: dict[str, Any] = {"limit": limit, "include": include}
    while True:
        status, _, body = await get(box, path, **params)
        assert status == 200
        pages.append(body["data"]["profiles"])
        cursor = next_of(body)
        if cursor is None:
            return pages
        params["cursor"] = cursor


@pytest.mark.parametrize("form", CURSOR_FORMS)
@BOTH_SANDBOXES
async def test_every_cursor_form_leads_through_the_whole_space_once(form: str, sandbox_type: type[Sandbox]) -> None:
    spec = SpaceSpec(23, "mixed")
    async with one_space(spec, sandbox_type, cursor_form=form, page_size=10) as box:
        pages = await walk(box, 10)
    assert [len(page) for page in pages] == [10, 10, 3]
    assert [entry for page in pages for entry in page] == list(profiles(spec))


def test_there_are_forms_for_every_place_and_shape() -> None:
    assert len(CURSOR_FORMS) == 4 * (6 + 3)


async def test_the_default_form_is_an_object_in_data() -> None:
    async with one_space(SpaceSpec(3)) as box:
        _, _, first = await get(box, USERS, limit=2, include="traits")
        cursor = first["data"]["cursor"]
        assert cursor == {
            "next": cursor["next"],
            "url": f"{USERS}?cursor={cursor['next']}",
            "has_more": True,
            "limit": 2,
        }
        _, _, last = await get(box, USERS, limit=2, include="traits", cursor=cursor["next"])
        assert last["data"]["cursor"] == {"next": None, "has_more": False, "limit": 2}


@pytest.mark.parametrize("form", ["data.cursor", "cursor:string:has_more", "data:object", "nonsense"])
def test_an_unknown_cursor_form_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="cursor form"):
        SandboxOptions({}, cursor_form=form)


@pytest.mark.parametrize("size", [0, 10, 20])
async def test_a_space_that_fills_its_pages_has_no_page_too_many(size: int) -> None:
    async with one_space(SpaceSpec(size), page_size=10) as box:
        pages = await walk(box, 10)
    assert len(pages) == max(1, size // 10)


async def test_no_more_than_the_servers_page_size_is_served() -> None:
    async with one_space(SpaceSpec(60), page_size=25) as box:
        assert [len(page) for page in await walk(box, 200)] == [25, 25, 10]


async def test_without_include_a_list_has_identifiers_only_and_the_same_cursors() -> None:
    async with one_space(SpaceSpec(30, "mixed"), page_size=10) as box:
        _, _, bare = await get(box, USERS)
        _, _, full = await get(box, USERS, include="traits")
        assert all(set(entry) == {"segment_id"} for entry in bare["data"]["profiles"])
        assert next_of(bare) == next_of(full)
        assert box.journal.count("segment.listing") == box.journal.count("segment.page") == 1


async def test_accounts_are_a_collection_with_its_own_cursors() -> None:
    accounts = USERS.replace("users", "accounts")
    async with one_space(SpaceSpec(5)) as box:
        assert sum(map(len, await walk(box, 2, path=accounts))) == 5
        _, _, body = await get(box, USERS, limit=2)
        status, _, _ = await get(box, accounts, limit=2, cursor=next_of(body) or "")
        assert status == 400


@pytest.mark.parametrize(
    ("path", "params", "headers", "status", "code"),
    [
        (USERS, {}, {}, 401, "unauthorized"),
        (USERS, {}, {"Authorization": "Bearer wrong"}, 401, "unauthorized"),
        (USERS.replace("spa_1", "spa_2"), {}, BEARER, 404, "not_found"),
        (USERS.replace("users", "things"), {}, BEARER, 404, "not_found"),
        (USERS + "/use_1/traits", {}, BEARER, 404, "not_found"),
        ("/spaces/spa_1", {}, BEARER, 404, "not_found"),
        (USERS, {"cursor": "invented"}, BEARER, 400, "invalid_cursor"),
        (USERS, {"limit": "0"}, BEARER, 400, "bad_request"),
        (USERS, {"limit": "many"}, BEARER, 400, "bad_request"),
        ("/v1" + USERS, {}, BEARER, 401, "unauthorized"),
        ("/v1" + USERS, {"limit": "101"}, BASIC, 400, "bad_request"),
        ("/v1" + USERS, {"next": "invented"}, BASIC, 400, "invalid_cursor"),
        ("/v1" + USERS + "/use_unknown/traits", {}, BASIC, 404, "not_found"),
        ("/v1" + USERS + "/use_unknown/events", {}, BASIC, 404, "not_found"),
    ],
)
@BOTH_SANDBOXES
async def test_a_wrong_request_gets_segments_error_with_a_request_id(
    path: str, params: dict[str, str], headers: dict[str, str], status: int, code: str, sandbox_type: type[Sandbox]
) -> None:
    async with one_space(SpaceSpec(), sandbox_type) as box:
        answered, answer_headers, body = await get(box, path, headers, **params)
    assert (answered, body["error"]["code"]) == (status, code)
    assert body["error"]["message"]
    assert answer_headers["Request-Id"]


async def test_only_get_is_allowed() -> None:
    async with (
        one_space(SpaceSpec()) as box,
        aiohttp.ClientSession(headers=BEARER) as session,
        session.post(box.url + USERS) as response,
    ):
        assert response.status == 405


@BOTH_SANDBOXES
async def test_request_ids_are_never_repeated(sandbox_type: type[Sandbox]) -> None:
    async with one_space(SpaceSpec(), sandbox_type) as box:
        answers = [await get(box, USERS, include="traits") for _ in range(5)]
    assert len({headers["Request-Id"] for _, headers, _ in answers}) == 5


@BOTH_SANDBOXES
async def test_any_token_and_any_space_can_be_allowed(sandbox_type: type[Sandbox]) -> None:
    options = SandboxOptions({}, default_space=SpaceSpec(2), segment_token=None)
    async with sandbox_type(options) as box:
        status, _, body = await get(box, USERS, {}, include="traits")
    assert (status, len(body["data"]["profiles"])) == (200, 2)


@pytest.mark.parametrize("kind", ["recipe", "wide"])
async def test_prebuilt_pages_repeat_as_ring_index_says(kind: Any) -> None:
    spec = SpaceSpec(215, kind)
    async with one_space(spec, PrebuiltSandbox, page_size=4) as box:
        served = [entry for page in await walk(box, 4) for entry in page]
        listed = [entry for page in await walk(box, 4, include="") for entry in page]
    assert served == [profile(spec, ring_index(spec, 4, index)) for index in range(215)]
    assert len(listed) == 215
    if kind == "recipe":
        assert served == list(profiles(spec))


async def test_a_cursor_can_be_followed_with_another_limit() -> None:
    spec = SpaceSpec(12, "wide")
    async with one_space(spec, PrebuiltSandbox, page_size=10) as box:
        _, _, first = await get(box, USERS, limit=6, include="traits")
        _, _, rest = await get(box, USERS, limit=10, include="traits", cursor=next_of(first) or "")
        _, _, small = await get(box, USERS, limit=3, include="traits", cursor=next_of(first) or "")
    assert len(rest["data"]["profiles"]) == 6
    assert small["data"]["profiles"] == [profile(spec, index) for index in range(6, 9)]


async def test_prebuilt_pages_of_another_size_are_built_on_demand() -> None:
    spec = SpaceSpec(12, "wide")
    async with one_space(spec, PrebuiltSandbox, page_size=10) as box:
        _, _, first = await get(box, USERS, limit=5, include="traits")
        _, _, odd = await get(box, USERS, limit=4, include="traits", cursor=next_of(first) or "")
    assert odd["data"]["profiles"] == [profile(spec, index) for index in range(5, 9)]


def test_a_sliding_window_lets_no_more_than_its_limit_into_any_window() -> None:
    window = SlidingWindow(3, 1.0)
    times = [step / 64 for step in range(64 * 5)]
    allowed = [time for time in times if window.hit(time).allowed]
    assert len(allowed) == 15
    assert all(later - earlier >= 1.0 for earlier, later in zip(allowed, allowed[3:], strict=False))


def test_a_sliding_window_shows_what_is_left_and_when_more_is() -> None:
    window = SlidingWindow(2, 60.0)
    assert window.hit(0.0).remaining == 1
    assert window.hit(10.0).remaining == 0
    refused = window.hit(30.0)
    assert (refused.allowed, refused.remaining, refused.retry_in_s) == (False, 0, 30.0)
    assert window.hit(60.0).allowed
    assert SlidingWindow(0, 60.0).hit(0.0).retry_in_s == 60.0


@BOTH_SANDBOXES
async def test_a_space_over_its_limit_is_asked_to_wait_and_another_is_not(sandbox_type: type[Sandbox]) -> None:
    spaces = {"spa_1": SpaceSpec(), "spa_2": SpaceSpec()}
    options = SandboxOptions(spaces, segment_limit=2, segment_window_s=3600.0)
    async with sandbox_type(options) as box:
        answers = [await get(box, USERS, include="traits") for _ in range(3)]
        other, _, _ = await get(box, USERS.replace("spa_1", "spa_2"), include="traits")
        status, headers, body = answers[2]
        assert [answer[0] for answer in answers] == [200, 200, 429]
        assert body["error"]["code"] == "too_many_requests"
        assert 3500 < int(headers["Retry-After"]) <= 3600
        assert other == 200
        assert box.journal.count("segment.page", 429) == 1
        box.set_options(segment_limit=None)
        status, _, _ = await get(box, USERS, include="traits")
        assert status == 200


async def test_both_dialects_share_the_limit_of_a_space() -> None:
    async with one_space(SpaceSpec(), segment_limit=1, segment_window_s=3600.0) as box:
        assert (await get(box, USERS))[0] == 200
        assert (await get(box, "/v1" + USERS, BASIC))[0] == 429


@BOTH_SANDBOXES
async def test_latency_is_added_to_each_page_and_a_list_can_have_less(sandbox_type: type[Sandbox]) -> None:
    loop = asyncio.get_running_loop()
    async with one_space(SpaceSpec(), sandbox_type, latency_s=0.05, listing_latency_s=0.0) as box:
        start = loop.time()
        await get(box, USERS, include="traits")
        assert loop.time() - start >= 0.05
        box.set_options(latency_s=3600.0)
        assert (await get(box, USERS))[0] == 200
        box.set_options(listing_latency_s=None, latency_s=0.0)
        assert (await get(box, USERS))[0] == 200


async def test_profile_api_lists_identifiers_whose_traits_are_the_profiles() -> None:
    spec = SpaceSpec(25, "mixed", 11)
    found: list[object] = []
    async with one_space(spec) as box:
        params: dict[str, Any] = {"limit": 10}
        while True:
            _, _, body = await get(box, "/v1" + USERS, BASIC, **params)
            for row in body["data"]:
                path = f"/v1{USERS}/{row['segment_id']}/traits"
                _, _, traits = await get(box, path, BASIC, limit=200)
                found.append(traits["traits"])
            assert set(body["cursor"]) == {"url", "has_more", "next", "limit"}
            if not body["cursor"]["has_more"]:
                break
            params["next"] = body["cursor"]["next"]
        assert box.profile_api_url == box.url + "/v1"
        assert box.journal.count("segment.profiles") == 3
        assert box.journal.count("segment.traits") == 25
    expected = [entry.get("traits") or {} for entry in profiles(spec) if isinstance(entry, dict)]
    assert found == expected


async def test_profile_api_lists_entries_that_are_not_objects_unchanged() -> None:
    spec = SpaceSpec(2000, "mixed")
    index = next(i for i, entry in enumerate(profiles(spec)) if not isinstance(entry, dict))
    seen: list[object] = []
    async with one_space(spec) as box:
        cursor = ""
        for _ in range(index // 100 + 1):
            _, _, body = await get(box, "/v1" + USERS, BASIC, limit=100, next=cursor)
            seen += body["data"]
            cursor = body["cursor"]["next"]
    assert seen[index] == profile(spec, index)


async def test_profile_api_pages_filters_and_explains_traits() -> None:
    async with one_space(SpaceSpec(1, "wide")) as box:
        _, _, body = await get(box, "/v1" + USERS, BASIC)
        path = f"/v1{USERS}/{body['data'][0]['segment_id']}/traits"
        _, _, first = await get(box, path, BASIC, limit=4)
        _, _, second = await get(box, path, BASIC, limit=200, next=first["cursor"]["next"])
        whole = profile(SpaceSpec(1, "wide"), 0)
        assert {"traits": {**first["traits"], **second["traits"]}} == whole
        _, _, chosen = await get(box, path, BASIC, include="ltv,nothing")
        assert list(chosen["traits"]) == ["ltv"]
        audience: dict[str, Any] = {"class": "audience"}
        _, _, audiences = await get(box, path, BASIC, **audience)
        assert list(audiences["traits"]) == ["newsletter_subscriber"]
        computed_trait: dict[str, Any] = {"class": "computed_trait"}
        _, _, computed = await get(box, path, BASIC, **computed_trait)
        assert set(computed["traits"]) == {"ltv", "purchase_count", "churn_risk", "engagement_tier"}
        _, _, verbose = await get(box, path, BASIC, verbose="true", include="ltv")
        assert set(verbose["traits"]["ltv"]) == {"value", "source_id", "updated_at"}
        assert (await get(box, path, BASIC, limit=201))[0] == 400


@pytest.mark.parametrize("wrong", [{"page_size": 0}, {"latency_s": -1}, {"credits": -1}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SandboxOptions({}, **wrong)


async def test_cursors_are_opaque_and_their_order_says_nothing() -> None:
    async with one_space(SpaceSpec(100), page_size=5) as box:
        cursors: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            _, _, body = await get(box, USERS, cursor=cursor)
            cursor = next_of(body)
            cursors += [cursor] if cursor else []
    assert all(re.fullmatch("[0-9a-f]{20}", cursor) for cursor in cursors)
    assert cursors != sorted(cursors)


async def test_a_fault_takes_a_prebuilt_page_out_of_the_fast_path() -> None:
    fault = Fault("segment", "status", page=1, status=503)
    async with one_space(SpaceSpec(20), PrebuiltSandbox, page_size=10, faults=(fault,)) as box:
        _, _, first = await get(box, USERS)
        assert (await get(box, USERS, cursor=next_of(first) or ""))[0] == 503
        box.clear_faults()
        assert (await get(box, USERS, cursor=next_of(first) or ""))[0] == 200


async def test_a_request_is_counted_when_it_arrives_and_that_may_take_a_while() -> None:
    async with one_space(SpaceSpec(2), PrebuiltSandbox, jitter_s=0.05) as box:
        arrivals = [await timed_arrival(box) for _ in range(12)]
    assert max(arrivals) > 0.02
    assert len({round(arrival, 3) for arrival in arrivals}) > 6


async def timed_arrival(box: Sandbox) -> float:
    """Seconds from sending a request to its arrival."""
    sent_at = monotonic()
    await get(box, USERS, limit=2)
    return box.journal.entries[-1].at - sent_at


async def test_answers_of_segment_name_the_limit_if_asked() -> None:
    async with one_space(SpaceSpec(2), segment_limit=2, segment_window_s=60) as box:
        _, headers, _ = await get(box, USERS, limit=2)
        assert "X-RateLimit-Limit" not in headers
        box.set_options(segment_limit_headers=True)
        for status, remaining in ((200, "0"), (429, "0")):
            found, headers, _ = await get(box, USERS, limit=2)
            assert (found, headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == (status, "2", remaining)
            assert 0 < int(headers["X-RateLimit-Reset"]) - time() < 62
