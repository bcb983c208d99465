"""What a page of a space looks like in the `inline` dialect: profiles with their traits, and where the next page is.

The recipe says only "use the cursor from the response", so every form that is known is read. Bodies are validated here,
at the edge; the entries of a page are not, because a bad profile never fails its page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from worker.body import is_cursor
from worker.sync import SyncRequest


@dataclass(frozen=True)
class Page:
    """One page: its entries as they came, and the cursor of the next page, None at the end of the listing.

    left_out: how many further profiles it listed that are not in the sample. merged: how many further rows of a file
    are profiles that were merged into others.
    """

    profiles: list[object]
    next_cursor: str | None
    left_out: int = 0
    merged: int = 0


def _none_if_blank(value: object) -> object:
    return None if value == "" else value


class Cursor(BaseModel):
    """A cursor in the form of an object, as either dialect has it; limit and URL are of no use."""

    model_config = ConfigDict(extra="ignore")

    next: Annotated[str | None, BeforeValidator(_none_if_blank)] = None
    has_more: bool | None = None

    def following(self) -> str | None:
        """Where the next page is; None at the end of the listing."""
        return None if self.has_more is False else self.next


CursorField = Annotated[str | Cursor | None, BeforeValidator(_none_if_blank)]


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore")

    profiles: list[Any]
    cursor: CursorField = None
    pagination: CursorField = None


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")

    data: _Data
    cursor: CursorField = None
    pagination: CursorField = None


def list_path(request: SyncRequest) -> str:
    """The route of the list of profiles."""
    return f"/spaces/{request.space_id}/collections/{request.collection}/profiles"


def list_params(page_size: int, cursor: str, *, traits: bool = True) -> dict[str, str]:
    """The query of one page, with the traits of its profiles or without; cursor '' asks for the first."""
    params = {"limit": str(page_size)} | ({"include": "traits"} if traits else {})
    return {**params, "cursor": cursor} if cursor else params


def read_page(body: object) -> Page:
    """Reads a list body. Raises ValueError, with nothing of the body in it, if it is none."""
    try:
        parsed = _Body.model_validate(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise ValueError(f"the body is no page of profiles (at {where or 'its top'})") from None
    candidates = (parsed.data.cursor, parsed.cursor, parsed.data.pagination, parsed.pagination)
    found = next((cursor for cursor in candidates if cursor is not None and _speaks(cursor)), None)
    if isinstance(found, Cursor):
        found = found.following()
    if found is not None and not is_cursor(found):
        raise ValueError("the cursor is too long, or no text")
    return Page(parsed.data.profiles, found)


def _speaks(cursor: str | Cursor) -> bool:
    """Whether it says what comes next; an object may hold no more than a limit and a URL."""
    return isinstance(cursor, str) or bool(cursor.model_fields_set)
