"""A page of a space: how it is requested, and what its body says.

Bodies are validated here. The entries of a page are not, because a bad profile never fails its page. What a body says
about the next page is read by `worker.http.pagination`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from worker.http.pagination import ListRequest, read_next_page
from worker.models.request import SyncRequest

OTHER_SHAPE = "the body is not a"
"""The beginning of a message about a body that is JSON of another shape."""


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    Attributes:
        profiles: Its entries, as they came.
        next_cursor: Of the next page; None if there is none, or none is known.
        left_out: How many further profiles it listed that are not in the sample.
        merged: How many further rows of a file are profiles that were merged into others.
        doubt: Why more pages may follow although the page has no cursor; empty if it has one, or if the list has ended.
    """

    profiles: list[object]
    next_cursor: str | None
    left_out: int = 0
    merged: int = 0
    doubt: str = ""


def list_path(request: SyncRequest) -> str:
    """Returns the path of the list of profiles."""
    return f"/spaces/{request.space_id}/collections/{request.collection}/profiles"


def list_params(page_size: int, cursor: str, *, traits: bool = True) -> dict[str, str]:
    """Returns the query of one page, with the traits of its profiles or without. An empty cursor requests the first
    page.
    """
    params = {"limit": str(page_size)} | ({"include": "traits"} if traits else {})
    return {**params, "cursor": cursor} if cursor else params


def read_page(body: object, request: ListRequest) -> Page:
    """Reads the body of a list.

    Args:
        body: Parsed JSON.
        request: The request that it answers.

    Raises:
        ValueError: It is not a page. The message contains nothing of the body.
    """
    data = body.get("data") if isinstance(body, dict) else None
    profiles = data.get("profiles", ...) if isinstance(data, dict) else ...
    if not isinstance(body, dict) or not isinstance(profiles, list | None):
        where = "data.profiles" if isinstance(data, dict) else "data" if isinstance(body, dict) else "its top"
        raise ValueError(f"{OTHER_SHAPE} page of profiles (at {where})")  # noqa: TRY004 - bad data, not a bad call
    return make_page(profiles or [], body, request)


def make_page(profiles: list[object], body: dict[str, Any], request: ListRequest) -> Page:
    """Makes a page of its entries and of what its body says about the next one."""
    next_page = read_next_page(body, len(profiles), request)
    return Page(profiles, next_page.cursor, doubt=next_page.doubt)


def locate_doubt(page: Page, where: str) -> Page:
    """Adds the place to the doubt of a page, if it has one."""
    return replace(page, doubt=f"Segment, {where}: {page.doubt}") if page.doubt else page


def profile_identifier(entry: dict[str, object]) -> str | None:
    """Returns the identifier of a profile; None if it has none."""
    for key in ("segment_id", "id"):
        value = entry.get(key)
        if isinstance(value, str) and value:
            return value
        if type(value) is int:
            return str(value)
    return None
