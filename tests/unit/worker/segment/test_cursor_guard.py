"""The guards of a listing that never ends: loops of any length, in constant memory, and empty pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.errors import Permanent
from worker.segment.endless_listing import CursorGuard

MANY = 10**9


def rho(tail: int, circle: int) -> Callable[[int], str]:
    """The cursors of a listing that after `tail` pages goes round in a circle."""
    return lambda step: f"cursor {step if step < tail else tail + (step - tail) % circle}"


def follow(cursors: Iterable[str], *, hand_over: bool = False) -> tuple[int, Permanent | None]:
    """Steps until the guard speaks up, and what it says. With `hand_over`, each step is in another walk."""
    guard, step = CursorGuard(), 0
    for step, cursor in enumerate(cursors, 1):
        try:
            guard = guard.advance(cursor, empty=False, max_empty_pages=MANY, space_id="s", page=step)
        except Permanent as error:
            return step, error
        if hand_over:
            guard = CursorGuard.decode(guard.encode())
        assert len(guard.encode()) < 60
    return step, None


def bound(tail: int, circle: int) -> int:
    """Brent: by the next power of two the remembered cursor lies in the circle, with room for a round; then a round."""
    return 4 * (tail + circle) + 1


@given(st.integers(0, 300), st.integers(1, 300), st.booleans())
@example(0, 1, False)
@example(300, 1, True)
@example(0, 300, True)
def test_every_circle_is_found_soon_and_in_constant_memory(tail: int, circle: int, hand_over: bool) -> None:
    cursors = rho(tail, circle)
    step, error = follow(map(cursors, count()), hand_over=hand_over)
    assert tail + circle < step <= bound(tail, circle)
    assert error
    assert (error.code, error.resumable) == ("cursor_loop", False)
    assert f"cursor after page {step} repeats the one of {circle} pages before, so the listing is a loop" in str(error)


def test_a_circle_of_ten_thousand_pages_is_found() -> None:
    step, error = follow(map(rho(1000, 10_000), count()))
    assert error
    assert step <= bound(1000, 10_000)


@given(st.lists(st.text(max_size=3), unique=True, max_size=200), st.booleans())
def test_a_listing_without_repetition_is_never_stopped(cursors: list[str], hand_over: bool) -> None:
    assert follow(cursors, hand_over=hand_over) == (len(cursors), None)


@given(st.lists(st.tuples(st.text(max_size=3), st.booleans()), max_size=40), st.integers(0, 40))
def test_a_guard_that_was_written_down_continues_where_it_was(pages: list[tuple[str, bool]], at: int) -> None:
    def run(guard: CursorGuard, part: list[tuple[str, bool]]) -> CursorGuard | str:
        for cursor, empty in part:
            try:
                guard = guard.advance(cursor, empty=empty, max_empty_pages=5, space_id="s", page=1)
            except Permanent as error:
                return error.code
        return guard

    before = run(CursorGuard(), pages[:at])
    if isinstance(before, CursorGuard):
        again = CursorGuard.decode(before.encode())
        assert again == before
        assert run(again, pages[at:]) == run(CursorGuard(), pages)


def test_a_listing_that_was_never_read_has_a_fresh_guard() -> None:
    assert CursorGuard.decode("") == CursorGuard()


def test_no_cursor_is_readable_in_the_checkpoint() -> None:
    guard = CursorGuard().advance("jane@example.com", empty=False, max_empty_pages=1, space_id="s", page=1)
    assert "jane" not in guard.encode()


# Empty pages


def test_so_many_empty_pages_in_a_row_end_the_listing() -> None:
    guard = CursorGuard()
    for page in range(1, 5):
        guard = CursorGuard.decode(guard.encode()).advance(
            f"c{page}", empty=True, max_empty_pages=5, space_id="s", page=page
        )
    with pytest.raises(Permanent, match="page 5: the last of 5 empty pages in a row") as caught:
        guard.advance("c5", empty=True, max_empty_pages=5, space_id="s", page=5)
    assert caught.value.code == "empty_pages"
    assert not caught.value.resumable


def test_a_page_with_profiles_forgives_the_empty_ones_before_it() -> None:
    guard = CursorGuard()
    for page in range(1, 100):
        guard = guard.advance(f"c{page}", empty=page % 5 != 0, max_empty_pages=5, space_id="s", page=page)
    assert guard.empty_pages == 4
