"""The `inline` dialect: pages of profiles with their traits, made on demand."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from producer.sandbox.cursor_form import CursorForm
from producer.sandbox.cursors import ENDLESS, Place, decode, encode
from producer.sandbox.faults import Fault
from producer.sandbox.options import SandboxOptions
from producer.sandbox.segment.pages import encode_profiles
from producer.sandbox.segment.requests import Target, Window, error_response, parsed_limit
from producer.sandbox.spaces.space import SpaceSpec

_EMPTY = b'{"data":{"profiles":[]'


class InlineApi:
    """Builds pages."""

    def __init__(self, options: SandboxOptions) -> None:
        self._form = CursorForm.parse(options.cursor_form)
        self._size = options.page_size

    def parse_window(self, target: Target, query: Mapping[str, str]) -> Window | web.Response:
        """Returns the requested window, or a 400."""
        limit = parsed_limit(query, self._size)
        if limit is None:
            return error_response(400, "bad_request", "limit must be a positive integer")
        limit = min(limit, self._size)
        cursor = query.get("cursor")
        if not cursor:
            return Window(Place(0), limit)
        place = decode(cursor, target.scope)
        if place is None:
            return error_response(400, "invalid_cursor", "The cursor is not valid for this list")
        return Window(place, limit)

    def body(self, target: Target, spec: SpaceSpec, window: Window, fault: Fault | None) -> bytes:
        """Returns the body of one page."""
        place, limit = window.place, window.limit
        empties = place.empties
        if fault is not None and fault.kind == "empty_pages" and not empties:
            empties = fault.count or ENDLESS
        if empties:
            return self._page(target, _EMPTY, Place(place.start, empties - 1), True, limit)
        count = window.count(spec)
        profiles = self.encode_profiles(spec, limit, place.start, count, target.route == "page")
        stop = place.start + count
        if fault is not None and fault.kind == "cursor_loop":
            back = max(0, place.start - (fault.period - 1) * limit)
            return self._page(target, profiles, Place(back), True, limit)
        return self._page(target, profiles, Place(stop), stop < spec.profiles, limit)

    def encode_profiles(self, spec: SpaceSpec, limit: int, start: int, count: int, traits: bool) -> bytes:
        """Returns the body up to its list of the `count` profiles from `start`, of a page that could hold `limit`."""
        return encode_profiles(spec, range(start, start + count), traits)

    def _page(self, target: Target, profiles: bytes, after: Place, more: bool, limit: int) -> bytes:
        cursor = encode(after, target.scope)
        return profiles + self._form.encode_rest(cursor, more, limit, target.path + "?cursor=")
