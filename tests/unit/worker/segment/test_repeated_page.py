"""A page that is listed again for another cursor is in doubt; pages that may be alike by chance are not."""

from __future__ import annotations

import itertools

import pytest

from worker.segment.endless_listing import LEAST_ENTRIES, RepeatedPageDetector
from worker.segment.page import Page

CURSORS = itertools.count()


def page(*names: object, doubt: str = "") -> Page:
    """Each with another cursor for the next page."""
    return Page([{"id": name} if name else {"traits": {}} for name in names], f"c{next(CURSORS)}", doubt=doubt)


FIRST = page(*"abcdefgh")


def test_the_page_before_again_is_in_doubt_each_time() -> None:
    detector = RepeatedPageDetector()
    assert detector.check(FIRST, 1) is FIRST
    for _ in range(3):
        assert "the same 8 profiles" in detector.check(page(*"abcdefgh"), 2).doubt
    other = page(*"ijklmnop")
    assert detector.check(other, 2) is other


def test_a_page_that_is_asked_for_again_is_not_compared_with_itself() -> None:
    detector = RepeatedPageDetector()
    for number in (1, 1, 3):
        assert detector.check(FIRST, number) is FIRST


@pytest.mark.parametrize(
    "again",
    [page(*"abcdefg"), page(*"bacdefgh"), page(*"abcdefgx")],
    ids=["shorter", "in another order", "with another profile"],
)
def test_a_page_that_differs_is_another_one(again: Page) -> None:
    detector = RepeatedPageDetector()
    detector.check(FIRST, 1)
    assert detector.check(again, 2) is again


@pytest.mark.parametrize("alike", [page(*[None] * 8), page(*"abcdefg", None), page(*"abcdefgh"[: LEAST_ENTRIES - 1])])
def test_pages_without_identifiers_or_with_few_are_not_compared(alike: Page) -> None:
    detector = RepeatedPageDetector()
    detector.check(alike, 1)
    assert detector.check(alike, 2) is alike


def test_a_page_whose_cursor_repeats_too_is_left_to_the_guard_of_cursors() -> None:
    detector = RepeatedPageDetector()
    for number in (1, 2, 3):
        assert detector.check(FIRST, number) is FIRST


def test_the_doubt_of_a_page_is_kept() -> None:
    detector = RepeatedPageDetector()
    detector.check(FIRST, 1)
    assert detector.check(page(*"abcdefgh", doubt="no cursor"), 2).doubt == "no cursor"
