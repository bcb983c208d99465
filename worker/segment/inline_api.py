"""The `inline` dialect: one request returns a page of profiles with their traits, or a cheap listing without traits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from worker.errors import Retry
from worker.http.body import parse_json
from worker.http.client import HttpClient
from worker.http.errors import TransportError
from worker.http.pagination import ListRequest
from worker.models.request import SyncRequest
from worker.segment.endless_listing import RepeatedPageDetector
from worker.segment.errors import error_from_response, error_from_transport, raise_for_error_body
from worker.segment.page import Page, list_params, list_path, locate_doubt, read_page
from worker.segment.source import Call, FetchedProfiles

_CURSOR_SHOWN = 80


@dataclass
class InlineApi:
    """Reads the pages of one space.

    Attributes:
        http: Client of the Profile API.
        request: Names the space and the collection.
        page_size: Profiles a page.
        traits: Whether profiles are requested with their traits.
        wall_clock: Returns Unix seconds, for `Retry-After` dates.
    """

    concurrent_pages = 2

    http: HttpClient
    request: SyncRequest
    page_size: int
    _: KW_ONLY
    traits: bool = True
    wall_clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self._repeated = RepeatedPageDetector()

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page, as `Source.fetch_page`. `worker.segment.errors` maps its failures to ApiError."""
        where = f"space {self.request.space_id}, page {number}"
        try:
            params = list_params(self.page_size, cursor, traits=self.traits)
            reply = await self.http.request("GET", list_path(self.request), params=params)
        except TransportError as error:
            raise error_from_transport(error, where) from None
        if reply.status != 200:
            raise error_from_response(reply, where, first=not cursor, now=self.wall_clock())
        try:
            body = parse_json(reply.body)
            raise_for_error_body(body, where, reply.request_id)
            page = read_page(body, ListRequest(self.page_size, cursor, self.http.host, before, number - 1))
        except ValueError as error:
            at = f", cursor {cursor[:_CURSOR_SHOWN]!a}" if cursor else ""
            raise Retry("segment_bad_body", f"Segment, {where}{at}: {error}", request_id=reply.request_id) from None
        return locate_doubt(self._repeated.check(page, number), where)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Returns the profiles of a page, which came with their traits. Sends no request."""
        return FetchedProfiles(page.profiles)
