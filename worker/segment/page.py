"""What a page of a space looks like in the `inline` dialect: profiles with their traits, and where the next page is.

Bodies are validated here, at the edge; the entries of a page are not, because a bad profile never fails its page.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from worker.http.pagination import Asked, read_following
from worker.models.sync import SyncRequest

OTHER_SHAPE = "the body is not a"
"""How a message begins that says that a body is JSON of another shape."""


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    Attributes:
        profiles: Its entries as they came.
        next_cursor: Of the next page; None if there is none, or none is known.
        left_out: How many further profiles it listed that are not in the sample.
        merged: How many further rows of a file are profiles that were merged into others.
        doubt: Why the listing may go on although there is no cursor; empty if it goes on or has ended.
    """

    profiles: list[object]
    next_cursor: str | None
    left_out: int = 0
    merged: int = 0
    doubt: str = ""


def list_path(request: SyncRequest) -> str:
    """The route of the list of profiles."""
    return f"/spaces/{request.space_id}/collections/{request.collection}/profiles"


def list_params(page_size: int, cursor: str, *, traits: bool = True) -> dict[str, str]:
    """The query of one page, with the traits of its profiles or without; cursor '' asks for the first."""
    params = {"limit": str(page_size)} | ({"include": "traits"} if traits else {})
    return {**params, "cursor": cursor} if cursor else params


def read_page(body: object, asked: Asked) -> Page:
    """Reads a list body; `asked` is the request that it answers.

    Raises:
        ValueError: It is not a page. The message has nothing of the body in it.
    """
    data = body.get("data") if isinstance(body, dict) else None
    profiles = data.get("profiles", ...) if isinstance(data, dict) else ...
    if not isinstance(body, dict) or not isinstance(profiles, list | None):
        where = "data.profiles" if isinstance(data, dict) else "data" if isinstance(body, dict) else "its top"
        raise ValueError(f"{OTHER_SHAPE} page of profiles (at {where})")  # noqa: TRY004 - bad data, not a bad call
    return page_of(profiles or [], body, asked)


def page_of(profiles: list[object], body: dict[str, Any], asked: Asked) -> Page:
    """The page with these entries, and what its body says about the next one."""
    following = read_following(body, len(profiles), asked)
    return Page(profiles, following.cursor, doubt=following.doubt)


def described(page: Page, where: str) -> Page:
    """The page; if it is in doubt, the doubt says where."""
    return replace(page, doubt=f"Segment, {where}: {page.doubt}") if page.doubt else page
