"""What a list body says about the next page: a list is complete only on evidence, whatever the form of the answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.http.pagination import MAX_CURSOR_LENGTH, ListRequest, NextPage, read_next_page, shown_keys

REQUEST = ListRequest(limit=10, cursor="c1", host="api.test", before=20, pages=2)

PLACES = ("", "data", "cursor", "pagination", "meta", "links", "page_info", "data.cursor", "data.pagination")
DEEPER = (
    "meta.pagination",
    "data.meta",
    "data.links",
    "response_metadata",
    "data.pageInfo",
    "_links",
    "paging.cursors",
)
NEXT = ("next", "next_cursor", "nextCursor", "NEXT", "next-cursor", "next_page_token", "nextToken", "end_cursor")
MORE = ("has_more", "hasMore", "has-more", "has_next", "hasNextPage", "more", "is_truncated")
TOTAL = ("total", "total_count", "totalCount", "total_results", "totalItems", "count", "profile_count")

Scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
Names = st.sampled_from(
    (*PLACES[1:7], *NEXT, *MORE, *TOTAL, "limit", "url", "profiles", "href", "self", "prev", "is_last", "x")
)
Json = st.recursive(
    Scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(Names, inner, max_size=4), max_leaves=12
)
Silent = st.dictionaries(
    st.sampled_from(["object", "request_id", "took_ms", "limit", "url", "self", "previous", "start"]),
    st.sampled_from([None, "", "x", 10, 7.5, True]),
    max_size=3,
)


def put(body: dict[str, Any], place: str, key: str, value: object) -> dict[str, Any]:
    """Writes a field into the object at a place of a body; makes the objects on the way."""
    node = body
    for part in filter(None, place.split(".")):
        node = node.setdefault(part, {})
    node[key] = value
    return body


def is_complete(next_page: NextPage) -> bool:
    return next_page.cursor is None and not next_page.doubt


HINTS = (("nextOffset", "c2"), ("more_results_at", "c2"), ("cursor_v", "c2"))
"""What is not known, but may name a page: it counts if nothing else does."""

More = st.one_of(
    st.tuples(st.sampled_from(NEXT), st.sampled_from(["c2", "?cursor=c2", "https://api.test/x?next=c2", 7, 7.0])),
    st.tuples(
        st.sampled_from(NEXT), st.sampled_from(["http://elsewhere.test/?cursor=c", True, 1.5, ["c"], "x" * 5000])
    ),
    st.tuples(
        st.sampled_from(NEXT), st.sampled_from([{"cursor": "c2"}, {"href": "/x?cursor=c2"}, {"token": "c2"}, {"x": 1}])
    ),
    st.tuples(st.sampled_from(MORE), st.sampled_from([True, "true", 1, 1.0])),
    st.tuples(st.sampled_from(TOTAL), st.sampled_from([31, 1000, "31", 31.0, {"value": 31, "relation": "eq"}])),
    st.tuples(st.sampled_from(["total_pages", "pageCount"]), st.sampled_from([4, "4"])),
    st.sampled_from(HINTS),
)
"""A field that says that the list continues after 20 + 10 entries on three pages."""


@examples(150, thorough=2500)
@given(
    st.sampled_from(PLACES + DEEPER), More, Silent, st.booleans(), st.sampled_from(PLACES + DEEPER), st.integers(0, 10)
)
def test_a_list_that_says_anywhere_that_it_continues_is_not_complete(
    place: str, sign: tuple[str, object], silent: dict[str, Any], says_end: bool, elsewhere: str, entries: int
) -> None:
    body: dict[str, Any] = dict(silent)
    if says_end and elsewhere != place and sign not in HINTS:
        put(body, elsewhere, "next", None)
    request = ListRequest(10, "c1", "api.test", 30 - entries, 2)
    assert not is_complete(read_next_page(put(body, place, *sign), entries, request)), body


@examples(100, thorough=1000)
@given(Silent, st.sampled_from(PLACES + DEEPER), Silent, st.integers(10, 12))
def test_a_full_page_without_a_sign_is_not_complete(
    top: dict[str, Any], place: str, inner: dict[str, Any], entries: int
) -> None:
    body = dict(top)
    for key, value in inner.items():
        put(body, place, key, value)
    next_page = read_next_page(body, entries, REQUEST)
    assert next_page.cursor is None
    assert "page is full" in next_page.doubt


@examples(120, thorough=2000)
@given(st.dictionaries(Names, Json, max_size=5), st.integers(0, 12))
def test_any_body_is_read_and_a_full_page_ends_only_on_a_sign(body: dict[str, Any], entries: int) -> None:
    next_page = read_next_page(body, entries, REQUEST)
    assert next_page.cursor is None or (next_page.cursor and not next_page.doubt)
    if is_complete(next_page) and entries >= REQUEST.limit:
        assert _says_end(body), body


def _says_end(node: object) -> bool:
    """Whether a body has any sign of the end: an empty `next`, or a flag that says so."""
    if not isinstance(node, dict):
        return False
    empty = (None, False, "")
    return any(
        (key in {*NEXT, "cursor", "pagination", "href", "url"} and any(value is one or value == one for one in empty))
        or (key in MORE and value in (False, "false", 0))
        or (key == "is_last" and value in (True, "true"))
        or _says_end(value)
        for key, value in node.items()
    ) or any(isinstance(value, list) and key == "links" for key, value in node.items())


@examples(60, thorough=2500)
@given(st.dictionaries(st.text(max_size=50) | Names, Json, max_size=30))
def test_only_names_of_fields_are_shown(body: dict[str, Any]) -> None:
    text = shown_keys({**body, "jane@example.com": 1, "use_2Xk9": {"data": 1}})
    assert "jane" not in text
    assert "2Xk9" not in text
    assert text.isprintable()


@pytest.mark.parametrize("place", ["cursor", "data.cursor", "pagination", "meta", "links", ""])
@pytest.mark.parametrize("value", [None, False, ""])
def test_an_empty_next_ends_a_full_page(place: str, value: object) -> None:
    assert is_complete(read_next_page(put({}, place, "next", value), 10, REQUEST))


@pytest.mark.parametrize("body", [{"cursor": None}, {"data": {"cursor": None}}, {"pagination": None}])
def test_a_cursor_of_null_ends_a_full_page(body: dict[str, Any]) -> None:
    assert is_complete(read_next_page(body, 10, REQUEST))


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ({"next_cursor": "c2"}, "c2"),
        ({"data": {"next_cursor": "c2"}}, "c2"),
        ({"cursor": None, "next_cursor": "c2"}, "c2"),
        ({"cursor": {"next": 200}}, "200"),
        ({"cursor": 200}, "200"),
        ({"cursor": {"next": 200.0}}, "200"),
        ({"cursor": {"next": "http://api.test/v1/x?cursor=c_200&limit=200", "has_more": True}}, "c_200"),
        ({"cursor": {"next": "http://API.test:8080/x?limit=2&next=a%26b"}}, "a&b"),
        ({"links": {"next": "/x?cursor=c2"}}, "c2"),
        ({"next": "spaces/x/profiles?limit=200&include=traits&cursor=c2"}, "c2"),
        ({"next": "opaque?c2"}, "opaque?c2"),
        ({"cursor": {"hasMore": True, "nextCursor": "c2"}}, "c2"),
        ({"pagination": {"next_page_token": "c2"}}, "c2"),
        ({"_links": {"next": {"href": "https://api.test/x?cursor=c2"}}}, "c2"),
        ({"links": [{"rel": "self", "href": "/x"}, {"rel": "next", "href": "/x?cursor=c2"}]}, "c2"),
        ({"paging": {"cursors": {"after": "c2"}}}, "c2"),
        ({"cursor": "c1", "next_cursor": "c2"}, "c2"),
        ({"cursor": "c1"}, "c1"),
        ({"cursor": "/abc+/=="}, "/abc+/=="),
    ],
)
def test_a_cursor_is_found_where_it_is(body: dict[str, Any], cursor: str) -> None:
    assert read_next_page(body, 10, REQUEST) == NextPage(cursor)


@pytest.mark.parametrize(
    "body",
    [
        {"cursor": {"next": "c2", "has_more": False}},
        {"has_more": False, "cursor": {"next": "c2"}},
        {"pageInfo": {"endCursor": "c2", "hasNextPage": False}},
        {"cursor": "c1", "next_cursor": None},
    ],
)
def test_a_cursor_under_a_sign_of_the_end_does_not_count(body: dict[str, Any]) -> None:
    assert is_complete(read_next_page(body, 10, REQUEST))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"cursor": {"next": "https://elsewhere.test/x?cursor=c"}}, "another host"),
        ({"cursor": {"next": "//elsewhere.test/x?cursor=c"}}, "another host"),
        ({"cursor": {"next": "https://api.test/x"}}, "without a cursor"),
        ({"cursor": {"next": "http://[/x?cursor=c"}}, "malformed URL"),
        ({"cursor": "c" * (MAX_CURSOR_LENGTH + 1)}, "too long"),
        ({"cursor": "\ud800"}, "Unicode"),
        ({"cursor": {"next": None, "has_more": True}}, "says that there is more"),
        ({"cursor": {"next": None}, "total": 31}, "31 entries in all, but 30 came"),
        ({"cursor": {"limit": 10}}, "cursor: limit"),
        ({"cursor": {"next": None}, "total": "1,200"}, "1,200 entries in all"),
        ({"cursor": {"page": 3, "pages": 5, "next": None}}, "5 pages in all"),
        ({"cursor": {"next": "null"}}, "full"),
        ({"cursor": "None"}, "full"),
        ({"cursor": {"next": " "}}, "full"),
        ({"cursor": {}, "remaining": 170}, "remaining"),
    ],
)
def test_the_doubt_says_why_and_names_the_keys(body: dict[str, Any], words: str) -> None:
    next_page = read_next_page(body, 10, REQUEST)
    assert next_page.cursor is None
    assert words in next_page.doubt
    assert "top level: cursor" in next_page.doubt


@pytest.mark.parametrize(
    ("body", "entries", "full"),
    [
        ({}, 9, False),
        ({"cursor": {"limit": 5}}, 5, True),
        ({"cursor": {"limit": 5}}, 4, False),
        ({"meta": {"per_page": 5}}, 5, True),
        ({}, 0, False),
        ({"cursor": {"next": "null"}}, 9, False),
        ({"remaining": 3}, 9, True),
        ({"remaining": 0, "rate_limit_remaining": 99}, 9, False),
    ],
)
def test_a_short_page_that_says_nothing_is_the_last(body: dict[str, Any], entries: int, full: bool) -> None:
    assert bool(read_next_page(body, entries, ListRequest(10)).doubt) == full


def test_a_page_as_long_as_those_before_it_is_a_full_one() -> None:
    assert read_next_page({}, 5, ListRequest(10, "c1", "", before=10, pages=2)).doubt
    assert not read_next_page({}, 4, ListRequest(10, "c1", "", before=10, pages=2)).doubt
