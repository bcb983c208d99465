"""From lines to entries: a bad line is an entry that is no profile, and never more than that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters import Aggregate, fold
from worker.files.profiles import entries

GOOD = b'{"id": "1", "traits": {"ltv": 5}}'
PROFILE = {"id": "1", "traits": {"ltv": 5}}


@pytest.mark.parametrize(
    "line",
    [None, b"{", b'{"id": 1} {"id": 2}', b"[" * 100_000, b"\xff\xfe\x00", b"id,traits", b"nul"],
    ids=["too long", "cut off", "two", "deep", "no text", "CSV", "typo"],
)
def test_a_bad_line_is_counted_as_one_that_is_no_profile(line: bytes | None) -> None:
    aggregate = Aggregate()
    fold(aggregate, entries([GOOD, line, GOOD]))
    assert (aggregate.profiles, aggregate.profile_errors) == (2, 1)


def test_blank_lines_count_nowhere() -> None:
    assert entries([b"", b"  \t", b"\r", GOOD + b"\r"]) == [PROFILE]


def test_what_only_the_tolerant_parser_takes_is_taken() -> None:
    (entry,) = entries([b'{"id": "1", "traits": {"ltv": NaN, "purchase_count": 1e999}}'])
    assert isinstance(entry, dict)


def test_a_byte_order_mark_is_no_part_of_the_first_profile() -> None:
    assert entries([b"\xef\xbb\xbf" + GOOD, GOOD]) == [PROFILE, PROFILE]


def test_a_profile_that_was_merged_into_another_is_left_out() -> None:
    merged = b'{"id": "1", "merged_to": "2", "traits": {}}'
    assert entries([merged, b'{"id": "1", "merged_to": null, "traits": {}}']) == [
        {"id": "1", "merged_to": None, "traits": {}}
    ]


@given(st.lists(st.none() | st.binary(max_size=20)))
def test_no_line_whatever_raises(lines: list[bytes | None]) -> None:
    assert len(entries(lines)) <= len(lines)
