"""Finds the next page in the body of a list, for both APIs: a cursor, the end of the list, or neither.

Neither API documents the form completely, so all common forms are recognised. The cursor may be at the top level of the
body, in `data`, or in an object such as `cursor`, `pagination`, `meta` or `links`. It may be a text, a number or a URL
of the same host. A list has ended only if the answer says so, or if the page is short and says nothing about more.
Everything else is in doubt: the caller requests the page again and must not treat the list as complete.

Pure. Messages name keys of the answer, never their values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_CURSOR_LENGTH = 4096


_CONTAINERS = frozenset(
    {"data", "cursor", "cursors", "pagination", "paginator", "paging", "page", "pageinfo", "pageinfos", "meta"}
    | {"metadata", "links", "link", "next", "nextpage", "response", "result", "list", "info", "responsemetadata"}
)
"""Objects that may contain a cursor or a sign of the end. Names are compared in lower case, without `_` and `-`."""

_CURSOR_OBJECTS = frozenset({"cursor", "pagination"})
"""Containers that are the cursor itself when they are not objects."""

_NEXT = frozenset(
    {"next", "nextcursor", "cursor", "cursornext", "pagination", "nextpage", "nextpagecursor", "nextpagetoken"}
    | {"nexttoken", "nexturl", "nextlink", "nexthref", "nextpageurl", "nextpagelink", "endcursor", "after"}
    | {"aftercursor", "continuation", "continuationtoken", "odatanextlink", "startingafter", "scrollid"}
)
_IN_NEXT = frozenset({"href", "url", "link", "token", "value", "id"})
"""Further names of the cursor in an object that is called `next`, as in `{"next": {"href": "/x?cursor=c"}}`."""
_MORE = frozenset(
    {"hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "hasmoreitems", "hasmorepages", "hasmoreresults"}
    | {"truncated", "istruncated", "incomplete"}
)
_LAST = frozenset({"islast", "islastpage", "last", "done", "final", "eof"})
"""The opposite of `_MORE`, where the value is a boolean."""
_TOTAL = re.compile(
    "count|numfound|(item|result|record|row|entry|profile|persona|overall|grand)s?(total|count)"
    "|total(number|size|count|hits|entries|matches|(of)?(item|result|record|row|element|object|profile|persona|user"
    "|account)s?(count)?)?"
)
_HINT = re.compile(r"next|more|continu|cursor|truncat|remain")
_NOT_A_HINT = re.compile(r"prev|before|back|start|self|first|current|this|last|limit|rate|quota|credit|request")
_PAGES = frozenset({"pages", "totalpages", "totalpage", "pagestotal", "pagecount", "numpages", "lastpage", "maxpage"})
"""Names of the number of pages in all."""
_NOTHING = frozenset({"", "null", "none", "nil", "false", "undefined"})
"""Texts that templates write for a missing cursor. They neither name a page nor end a list."""
_THOUSANDS = re.compile(r"\d{1,3}([,_ ]\d{3})+")
_URL_PARAMETERS = ("cursor", "next", "next_cursor", "nextCursor", "page_token", "pageToken", "after", "starting_after")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|//")

_DEEPEST = 5
_KEY = re.compile(r"[$@_]?[A-Za-z]+([_.-][A-Za-z]+)*")
"""The form of a field's name. A key with digits could be an identifier, so it is not shown."""
_LONGEST_KEY, _MOST_KEYS = 40, 15


@dataclass(frozen=True)
class NextPage:
    """The next page, or the end of the list.

    Attributes:
        cursor: Cursor of the next page; None if there is none, or it is not known.
        doubt: Why more pages may follow although there is no cursor; empty if there is one, or if the list has ended.
    """

    cursor: str | None = None
    doubt: str = ""


@dataclass(frozen=True)
class ListRequest:
    """The request that a page answers.

    Attributes:
        limit: Number of entries that were requested.
        cursor: The cursor that was sent; empty for the first page.
        host: Host of the request; a cursor that is a URL of another host is refused.
        before: Number of entries of all earlier pages; None if it is not known.
        pages: Number of earlier pages.
    """

    limit: int
    cursor: str = ""
    host: str = ""
    before: int | None = None
    pages: int = 0


def is_cursor(text: str) -> bool:
    """Returns whether a text can be stored and sent as a cursor: not too long, and without unpaired surrogates."""
    if not 0 < len(text) <= MAX_CURSOR_LENGTH:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def read_next_page(body: Mapping[str, Any], entries: int, request: ListRequest) -> NextPage:
    """Reads what follows a page. Never raises.

    Args:
        body: Parsed body of the page.
        entries: Number of its entries.
        request: The request that it answers.
    """
    signs = _Signs(request.host)
    signs.visit(body)
    cursor = signs.chosen(request.cursor)
    if cursor is not None:
        return NextPage(cursor)
    why = _why(signs, entries, request)
    return NextPage(doubt=f"{why}; its keys: {shown_keys(body)}" if why else "")


def shown_keys(body: Mapping[str, Any]) -> str:
    """Lists the keys of a body and of the objects in it that may contain a cursor, for a message."""
    parts = [_listed_keys("top level", body)]
    parts += [_listed_keys(where, inner) for where, inner in _containers(body)]
    return "; ".join(parts)


def _why(signs: _Signs, entries: int, request: ListRequest) -> str:
    """Returns why more pages may follow; empty if the list has ended."""
    if signs.odd:
        return f"the answer has a cursor that cannot be used ({signs.odd[0]})"
    if True in signs.more:
        return "the answer says that there is more, but has no cursor for it"
    if request.before is not None and signs.total > request.before + entries:
        return f"the answer counts {signs.total:,} entries in all, but {request.before + entries:,} came"
    if signs.pages > request.pages + 1 and request.before is not None:
        return f"the answer counts {signs.pages:,} pages in all, but this is number {request.pages + 1:,}"
    if False in signs.more or signs.ended:
        return ""
    if signs.hints:
        return f"the answer has {signs.hints[0]}, which may name a next page"
    if entries and entries >= _full(signs, request):
        return f"the page is full ({entries:,} entries) and the answer does not say whether there is more"
    return ""


def _full(signs: _Signs, request: ListRequest) -> float:
    """Returns the size of a full page: as requested, as limited by the answer, or as the mean of earlier pages."""
    sizes = [float(request.limit), *map(float, signs.limits)]
    if request.before and request.pages:
        sizes.append(request.before / request.pages)
    return min(sizes)


@dataclass
class _Signs:
    """The signs of a next page in a body. Cursors in an object that reports the last page are ignored."""

    host: str
    cursors: list[str] = field(default_factory=list)
    more: set[bool] = field(default_factory=set)
    ended: bool = False
    odd: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    total: int = 0
    pages: int = 0
    limits: list[int] = field(default_factory=list)

    def visit(self, node: Mapping[str, Any], *, closed: bool = False, in_next: bool = False, depth: int = 0) -> None:
        """Collects the signs of one object and of the objects in it."""
        flags = {flag for key, value in node.items() if (flag := _has_more(_plain(key), value)) is not None}
        self.more |= flags
        closed = closed or flags == {False}
        for key, value in node.items():
            name = _plain(key)
            if isinstance(value, dict) and (name in _CONTAINERS or name in _NEXT or in_next):
                self._inner(key, value, closed=closed, depth=depth)
            elif name in _NEXT or (in_next and name in _IN_NEXT):
                self._next(key, value, closed=closed)
            elif name == "links" and isinstance(value, list):
                for link in value:
                    if isinstance(link, dict) and link.get("rel") == "next":
                        self._next("links", link.get("href"), closed=closed)
            else:
                self._count(name, value)
                if not closed and value and _may_name_a_page(name) and _has_more(name, value) is None:
                    self.hints.append(_shown_key(key))
            if isinstance(value, dict):
                self._count(name, value.get("value"))

    def chosen(self, sent: str) -> str | None:
        """Returns the cursor of the next page. The cursor that was sent counts only if nothing contradicts it."""
        fresh = [cursor for cursor in self.cursors if cursor != sent]
        if fresh:
            return fresh[0]
        return self.cursors[0] if self.cursors and not self.ended and self.more != {False} and not self.odd else None

    def _inner(self, key: str, value: Mapping[str, Any], *, closed: bool, depth: int) -> None:
        is_next = _plain(key) in _NEXT - _CURSOR_OBJECTS
        before = len(self.cursors), len(self.odd), len(self.more), self.ended
        if depth < _DEEPEST:
            self.visit(value, closed=closed, in_next=is_next, depth=depth + 1)
        if (
            is_next
            and value
            and not closed
            and before == (len(self.cursors), len(self.odd), len(self.more), self.ended)
        ):
            self.odd.append(f"{_shown_key(key)} is not a text or a number")

    def _next(self, key: str, value: object, *, closed: bool) -> None:
        if value is None or value is False or value == "":
            self.ended = True
            return
        if closed or (isinstance(value, str) and value.strip().casefold() in _NOTHING):
            return
        if isinstance(value, int | float) and not isinstance(value, bool) and value == int_or_none(value):
            value = str(int(value))
        if not isinstance(value, str):
            self.odd.append(f"{_shown_key(key)} is not a text or a number")
            return
        cursor, problem = _from_url(value, self.host)
        if problem or not is_cursor(cursor):
            self.odd.append(f"{_shown_key(key)} {problem or 'is too long, or is not valid Unicode'}")
        else:
            self.cursors.append(cursor)

    def _count(self, name: str, value: object) -> None:
        number = int_or_none(value)
        if number is None or number < 0:
            return
        if name in _PAGES:
            self.pages = max(self.pages, number)
        elif name in {"limit", "perpage", "pagesize"}:
            self.limits += [number] if number else []
        elif _TOTAL.fullmatch(name):
            self.total = max(self.total, number)


def int_or_none(value: object) -> int | None:
    """Returns a whole number, also from a float or a short text such as 1200 or 1,200; None for any other value."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str) and value.isascii() and len(value) <= 18:
        digits = re.sub("[,_ ]", "", value) if _THOUSANDS.fullmatch(value) else value
        return int(digits) if digits.isdigit() else None
    return None


def _has_more(name: str, value: object) -> bool | None:
    """Returns whether a field says that more pages follow; None if it does not say."""
    if name not in _MORE and name not in _LAST:
        return None
    if value in ("true", "false"):
        value = value == "true"
    if name in _MORE and isinstance(value, int | float) and not isinstance(value, bool) and value in (0, 1):
        value = bool(value)
    if not isinstance(value, bool):
        return None
    return value if name in _MORE else not value


def _may_name_a_page(name: str) -> bool:
    return bool(_HINT.search(name)) and not _NOT_A_HINT.search(name)


def _from_url(text: str, host: str) -> tuple[str, str]:
    """Returns the cursor that a text is or, if it is a URL, contains; and what is wrong with the URL, or empty."""
    is_url = bool(_URL.match(text))
    if not is_url and "?" not in text:
        return text, ""
    try:
        parts = urlsplit(text)
        named, query = parts.hostname, parse_qs(parts.query, max_num_fields=100)
    except ValueError:
        return text, "is a malformed URL"
    if named and host and named.casefold() != host.casefold():
        return text, "is a URL of another host, which is not asked"
    found = next((values[0] for name in _URL_PARAMETERS if (values := query.get(name))), None)
    if not found and not is_url and text[:1] not in {"/", "?"}:
        return text, ""  # an opaque cursor with a question mark in it
    return (found, "") if found else (text, "is a URL without a cursor in it")


def _containers(node: Mapping[str, Any], where: str = "", depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in node.items():
        if isinstance(value, dict) and _plain(key) in _CONTAINERS | _NEXT and depth < 2:
            path = f"{where}.{key}" if where else key
            yield path, value
            yield from _containers(value, path, depth + 1)


def _listed_keys(where: str, node: Iterable[str]) -> str:
    keys = [_shown_key(key) for key in node]
    shown = ", ".join(keys[:_MOST_KEYS]) + (f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else "")
    return f"{where}: {shown or 'none'}"


def _shown_key(key: str) -> str:
    return key if len(key) <= _LONGEST_KEY and _KEY.fullmatch(key) else "(another key)"


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "").replace(".", "").lstrip("@$")
