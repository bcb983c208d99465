"""What a page looks like: every known form of the next cursor is read, and no body that is none is taken for a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.pagination import MAX_CURSOR_LENGTH, ListRequest
from worker.models.request import SyncRequest
from worker.segment.page import Page, list_params, list_path, read_page

PLACES = ("data.cursor", "cursor", "data.pagination", "pagination")
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "profiles", "cursor", "next", "has_more", "pagination"]), inner)
    ),
    max_leaves=10,
)


def body(*cursors: tuple[str, object], profiles: object = ()) -> dict[str, Any]:
    """A list body with each cursor in its place."""
    data: dict[str, object] = {"profiles": list(profiles) if isinstance(profiles, tuple) else profiles}
    whole: dict[str, Any] = {"data": data}
    for place, cursor in cursors:
        (data if place.startswith("data.") else whole)[place.removeprefix("data.")] = cursor
    return whole


def read(whole: object) -> Page:
    return read_page(whole, ListRequest(limit=10))


# What is asked


def test_the_route_is_that_of_the_recipe() -> None:
    assert list_path(SyncRequest(space_id="spa_1")) == "/spaces/spa_1/collections/users/profiles"
    request = SyncRequest(space_id="spa_1", collection="accounts")
    assert list_path(request) == "/spaces/spa_1/collections/accounts/profiles"


def test_only_later_pages_bring_a_cursor() -> None:
    assert list_params(200, "") == {"limit": "200", "include": "traits"}
    assert list_params(50, "c") == {"limit": "50", "include": "traits", "cursor": "c"}


# Cursors


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("cursor", "expected"),
    [
        ({"next": "c", "has_more": True, "limit": 200, "url": "/x"}, "c"),
        ({"next": "c"}, "c"),
        ({"next": "c", "has_more": None}, "c"),
        ("c", "c"),
        (7, "7"),
        ({"next": 7}, "7"),
        ({"next": {"cursor": "c"}}, "c"),
        ({"next": "c", "has_more": False}, None),
        ({"next": None, "has_more": False}, None),
        ({"next": False}, None),
        ({"next": None}, None),
        ({"next": ""}, None),
        ({"has_more": False}, None),
        ({"limit": 200}, None),
        ({}, None),
        ("", None),
        (None, None),
    ],
)
def test_every_form_of_a_cursor_is_read_in_every_place(place: str, cursor: object, expected: str | None) -> None:
    assert read(body((place, cursor), profiles=(1, None))) == Page([1, None], expected)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "cursor",
    [
        {"next": "", "has_more": True},
        {"next": None, "has_more": True},
        {"has_more": True},
        1.5,
        True,
        ["c"],
        {"next": True},
        {"next": ["c"]},
        "c" * (MAX_CURSOR_LENGTH + 1),
        "a\ud800",
        {"next": "\udfff"},
    ],
)
def test_what_says_neither_more_nor_the_end_leaves_the_page_in_doubt(place: str, cursor: object) -> None:
    page = read(body((place, cursor), profiles=(1,)))
    assert (page.profiles, page.next_cursor) == ([1], None)
    assert place.removeprefix("data.") in page.doubt


def test_a_full_page_without_any_cursor_is_in_doubt_and_a_short_one_has_ended() -> None:
    assert "top level: data; data: profiles" in read(body(profiles=tuple(range(10)))).doubt
    assert read(body(profiles=tuple(range(9)))) == Page(list(range(9)), None)
    assert read(body()) == Page([], None)


def test_a_list_of_null_is_empty() -> None:
    assert read(body(("data.cursor", {"next": None, "has_more": False}), profiles=None)) == Page([], None)


@pytest.mark.parametrize("silent", [None, "", {}, {"limit": 200, "url": "/x"}])
@pytest.mark.parametrize("place", PLACES[:3])
def test_a_place_that_says_nothing_does_not_hide_the_next_one(silent: object, place: str) -> None:
    assert read(body((place, silent), ("pagination", "c"))).next_cursor == "c"


@pytest.mark.parametrize("end", [{"next": None}, {"next": ""}, {"has_more": False}, {"next": "d", "has_more": False}])
def test_a_cursor_in_one_place_counts_more_than_an_end_in_another(end: object) -> None:
    assert read(body(("data.cursor", end), ("pagination", "c"))).next_cursor == "c"


def test_a_long_cursor_is_taken_up_to_its_bound() -> None:
    assert read(body(("cursor", "c" * MAX_CURSOR_LENGTH))).next_cursor == "c" * MAX_CURSOR_LENGTH


# Bodies


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        "jane@example.com",
        7,
        {},
        {"data": None},
        {"data": []},
        {"data": "jane@example.com"},
        {"data": {}},
        {"data": {"profiles": {}}},
        {"data": {"profiles": "jane@example.com"}},
        {"data": {"profiles": {"email": "jane@example.com"}}},
        {"profiles": [{"email": "jane@example.com"}]},
        {"data": [{"email": "jane@example.com"}]},
        {"error": {"message": "jane@example.com"}},
    ],
)
def test_a_body_that_is_not_a_page_is_refused_and_not_quoted(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"^the body is not a page of profiles \(at ") as caught:
        read(wrong)
    assert "jane" not in str(caught.value)


@given(st.lists(Json, max_size=4))
def test_entries_are_passed_on_unchanged(entries: list[object]) -> None:
    page = read(body(profiles=entries))
    assert json.dumps(page.profiles) == json.dumps(entries)


@given(Json)
def test_any_json_is_a_page_or_a_value_error(value: object) -> None:
    try:
        page = read(value)
    except ValueError:
        return
    assert isinstance(page.profiles, list)
    assert page.next_cursor is None or page.next_cursor
