"""The Segment client: one page a call, and what each failure means.

answer                                   becomes
429                                      WaitUntil `segment_rate_limit`
5xx, broken body, time-out, dropped      Retry `segment_unavailable`
401 · 403 · 404                          ResumableStop `segment_unauthorized`, `segment_forbidden`, `segment_not_found`
400 on a later page                      Permanent `cursor_expired`
400 on the first page, other 4xx         Permanent `segment_bad_request`
"""

from __future__ import annotations

import time
from collections.abc import Callable

from worker.body import error_message, parse_json, retry_after_s
from worker.errors import ApiError, Permanent, ResumableStop, Retry, WaitUntil
from worker.http import HttpClient, Reply, TransportError
from worker.segment.dialect import Page, list_params, list_path, read_page
from worker.sync import SyncRequest

_CHECK_ACCESS = (
    "Check SEGMENT_BASE_URL (region and dialect) and the kind of token first; then whether the workspace has "
    "Engage/Unify (Business tier), which the profiles of a space need"
)
_CURSOR_SHOWN = 80


class SegmentClient:
    """Reads the pages of one request's space. wall_clock: Unix seconds, for `Retry-After` dates."""

    def __init__(
        self,
        http: HttpClient,
        request: SyncRequest,
        page_size: int,
        *,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._request = request
        self._page_size = page_size
        self._wall_clock = wall_clock

    async def page(self, cursor: str, number: int) -> Page:
        """The page at `cursor` ('' for the first), the `number`-th of the sync. Raises the ApiErrors above."""
        where = f"space {self._request.space_id}, page {number}"
        try:
            reply = await self._http.request(
                "GET", list_path(self._request), params=list_params(self._page_size, cursor)
            )
        except TransportError as error:
            raise Retry("segment_unavailable", f"Segment, {where}: {error}") from None
        if reply.status != 200:
            raise self._refusal(reply, where, first=not cursor)
        try:
            return read_page(parse_json(reply.body))
        except ValueError as error:
            at = f", cursor {cursor[:_CURSOR_SHOWN]!a}" if cursor else ""
            raise Retry("segment_bad_body", f"Segment, {where}{at}: {error}", request_id=reply.request_id) from None

    def _refusal(self, reply: Reply, where: str, *, first: bool) -> ApiError:
        code, message, _ = error_message(reply.body)
        said = f"Segment, {where}: {reply.status}" + (f" {message}" if message else "")
        match reply.status:
            case 429:
                wait_s = retry_after_s(reply.headers, self._wall_clock())
                return WaitUntil("segment_rate_limit", said, wait_s=wait_s, request_id=reply.request_id)
            case 401:
                advice = "Check SEGMENT_TOKEN, then resume the sync"
                return ResumableStop("segment_unauthorized", f"{said}. {advice}", request_id=reply.request_id)
            case 403 | 404:
                kind = "segment_forbidden" if reply.status == 403 else "segment_not_found"
                return ResumableStop(kind, f"{said}. {_CHECK_ACCESS}", request_id=reply.request_id)
            case 408:
                return Retry("segment_unavailable", said, request_id=reply.request_id)
            case 400 | 410 | 422 if not first:
                advice = "Segment no longer takes the cursor of this page. Resume with --restart to read from the start"
                return Permanent("cursor_expired", f"{said}. {advice}", request_id=reply.request_id)
            case status if status >= 500 or status < 400:
                return Retry("segment_unavailable", said, request_id=reply.request_id)
            case _:
                return Permanent("segment_bad_request", f"{said} {code}".rstrip(), request_id=reply.request_id)
