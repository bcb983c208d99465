"""The `profile-api` dialect: a list of identifiers, then one request for the traits of each profile.

Those requests run concurrently, so that the rate limit decides how long a page takes. Each asks only for the traits
that the rules read, so that no other trait is transferred. A profile that no longer exists, or that is the only one
that cannot be read, is left out and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from worker.concurrency import gather_all
from worker.errors import Retry
from worker.http.body import parse_json
from worker.http.client import HttpClient
from worker.http.errors import TransportError
from worker.http.pagination import ListRequest, is_cursor, read_next_page
from worker.models.request import SyncRequest
from worker.segment.endless_listing import RepeatedPageDetector
from worker.segment.errors import error_from_response, error_from_transport, raise_for_error_body
from worker.segment.page import OTHER_SHAPE, Page, list_path, locate_doubt, make_page, profile_identifier
from worker.segment.source import Call, FetchedProfiles
from worker.segment.traits_caller import OTHERS, UNREADABLE, Send, TraitsCaller

MAX_ID_LENGTH = 1000
MAX_PAGE_SIZE = 100
"""Largest number of profiles in a page of the list."""
MAX_TRAITS_PER_PAGE = 200
"""Largest number of traits in one answer."""
MAX_TRAIT_PAGES = 100


@dataclass(frozen=True)
class _Traits:
    """One page of a profile's traits, and the cursor of the next page; None if it is the last."""

    traits: dict[str, Any]
    next_cursor: str | None


class ProfileApi:
    """Reads one space through the Profile API.

    Args:
        http: Client of the Profile API.
        request: Names the space and the collection.
        keys: Names of the traits to read; all traits if empty.
        page_size: Profiles a page.
        concurrent_requests: Number of requests for traits at a time.
        ages: Whether each value comes with the time at which it was set, as an object with `value` and `updated_at`.
    """

    concurrent_pages = 3

    def __init__(
        self,
        http: HttpClient,
        request: SyncRequest,
        keys: Sequence[str],
        *,
        page_size: int,
        concurrent_requests: int,
        ages: bool = False,
    ) -> None:
        self._http = http
        self._request = request
        self._path = list_path(request)
        self._page_size = page_size
        self.trait_params = {"limit": str(MAX_TRAITS_PER_PAGE)} | ({"include": ",".join(keys)} if keys else {})
        if request.trait_class:
            self.trait_params["class"] = request.trait_class
        if ages:
            self.trait_params["verbose"] = "true"
        self._ages = ages
        self._places = asyncio.Semaphore(concurrent_requests)
        self._traits_caller = TraitsCaller()
        self._repeated = RepeatedPageDetector()

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page of identifiers, as `Source.fetch_page`. Entries that are not profiles are kept unchanged."""
        where = f"space {self._request.space_id}, page {number}"
        params = {"limit": str(self._page_size)} | ({"next": cursor} if cursor else {})
        body = await self._get(self._path, params, where, first=not cursor)
        rows = body.get("data", ...) if isinstance(body, dict) else ...
        if not isinstance(body, dict) or not isinstance(rows, list | None):
            raise Retry("segment_bad_body", f"Segment, {where}: {OTHER_SHAPE} list of profiles")
        request = ListRequest(self._page_size, cursor, self._http.host, before, number - 1)
        page = make_page(rows or [], body, request)
        return locate_doubt(self._repeated.check(page, number), where)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Fetches the traits of a page's profiles, by one request each, or more for many traits. Raises ApiError."""
        paths = [self._traits_path(row) for row in page.profiles]
        found = await gather_all([self._entry(path, paths, number, call) for path in paths])
        there = [entry for entry in found if entry is not VANISHED and entry is not UNREADABLE]
        unreadable = found.count(UNREADABLE)
        return FetchedProfiles(there, vanished=len(found) - len(there) - unreadable, unreadable=unreadable)

    def _traits_path(self, row: object) -> str | None:
        """Returns where the traits of a listed profile are requested; None if the row is not a profile."""
        identifier = _identifier(row)
        return None if identifier is None else f"{self._path}/{quote(identifier, safe='')}/traits"

    async def _entry(self, path: str | None, paths: Sequence[str | None], number: int, call: Call) -> object:
        if path is None:
            return None  # not a profile; counted as invalid
        async with self._places:
            return await self._traits(path, paths, number, call)

    async def _traits(self, path: str, paths: Sequence[str | None], number: int, call: Call) -> object:
        traits: dict[str, object] = {}
        cursor = ""
        find_others = partial(self._find_others, path, paths, call)
        for _ in range(MAX_TRAIT_PAGES):
            send = partial(self._trait_page, path, number, cursor)
            part = await self._traits_caller.read(send, call, find_others)
            if not isinstance(part, _Traits):
                return VANISHED if part is None else UNREADABLE
            traits |= part.traits if self._ages else {name: _plain(value) for name, value in part.traits.items()}
            if part.next_cursor is None or part.next_cursor == cursor:
                break
            cursor = part.next_cursor
        return {"traits": traits}

    async def _find_others(self, path: str, paths: Sequence[str | None], call: Call) -> list[Send]:
        """Finds requests for the traits of other profiles: of the same page, or of the first one if it has no other."""
        others = [one for one in paths if one not in (None, path)]
        if not others:
            first: Page = await call(lambda: self.fetch_page("", 1, 0))
            others = [one for one in map(self._traits_path, first.profiles) if one not in (None, path)]
        step = max(1, len(others) // OTHERS)
        return [partial(self._trait_page, one, 1, "") for one in others[::step][:OTHERS] if one]

    async def _trait_page(self, path: str, number: int, cursor: str) -> _Traits | None:
        """Fetches one page of a profile's traits; returns None if the profile no longer exists. Raises ApiError."""
        # No message about a failure names the profile.
        where = f"space {self._request.space_id}, traits of a profile of page {number}"
        params = self.trait_params | ({"next": cursor} if cursor else {})
        body = await self._get(path, params, where, first=True, of_profile=True)
        if body is VANISHED:
            return None
        body = _without_null(body)
        traits = body.get("traits") if isinstance(body, dict) else None
        if not isinstance(body, dict) or not isinstance(traits, dict):
            raise Retry("segment_bad_body", f"Segment, {where}: the body is not a list of traits")
        rest = {name: value for name, value in body.items() if name != "traits"}
        next_page = read_next_page(rest, len(traits), ListRequest(MAX_TRAITS_PER_PAGE, cursor, self._http.host))
        if next_page.doubt:
            raise Retry("segment_bad_body", f"Segment, {where}: {next_page.doubt}")
        return _Traits(traits, next_page.cursor)

    async def _get(
        self, path: str, params: Mapping[str, str], where: str, *, first: bool, of_profile: bool = False
    ) -> object:
        """Returns the body of an answer; VANISHED after a 404 to a request about one profile. Raises ApiError."""
        try:
            reply = await self._http.request("GET", path, params=params)
        except TransportError as error:
            raise error_from_transport(error, where) from None
        if reply.status == 404 and of_profile:
            return VANISHED
        if reply.status != 200:
            raise error_from_response(reply, where, first=first, of_profile=of_profile)
        try:
            body = parse_json(reply.body)
        except ValueError as error:
            raise Retry("segment_bad_body", f"Segment, {where}: {error}", request_id=reply.request_id) from None
        if not of_profile:
            raise_for_error_body(body, where, reply.request_id)
        return body


VANISHED = object()
"""The result for a profile that was listed and no longer exists."""


def _identifier(row: object) -> str | None:
    found = profile_identifier(row) if isinstance(row, dict) else None
    if found is None or len(found) > MAX_ID_LENGTH or found in {".", ".."}:
        return None
    return found if is_cursor(found) else None


def _without_null(body: object) -> object:
    """Returns a body with an object of traits. Some servers write an empty object as null or `[]`, or leave it out."""
    if not isinstance(body, dict) or body.keys() & {"error", "errors"} or not body.keys() & {"traits", "cursor"}:
        return body
    return {**body, "traits": {}} if body.get("traits") in (None, []) else body


def _plain(value: object) -> object:
    """Returns a trait's value, also if the server wrapped it in an object that was not requested."""
    if isinstance(value, dict) and value.keys() == {"value", "source_id", "updated_at"}:
        return value["value"]
    return value
