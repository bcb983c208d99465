"""From lines to entries: a bad line is an entry without a profile, and never more than that."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.clusters import Aggregate, fold
from worker.segment.export_file.profile_lines import ProfileRows, read_rows

GOOD = b'{"id": "1", "traits": {"ltv": 5}}'
PROFILE = {"id": "1", "traits": {"ltv": 5}}


@pytest.mark.parametrize(
    "line",
    [None, b"{", b'{"id": 1} {"id": 2}', b"[" * 100_000, b"\xff\xfe\x00", b"id,traits", b"nul"],
    ids=["too long", "cut off", "two", "deep", "no text", "CSV", "typo"],
)
def test_a_bad_line_is_counted_as_an_entry_without_a_profile(line: bytes | None) -> None:
    aggregate = Aggregate()
    fold(aggregate, read_rows([GOOD, line, GOOD]).entries)
    assert (aggregate.profiles, aggregate.profile_errors) == (2, 1)


def test_blank_lines_count_nowhere() -> None:
    assert read_rows([b"", b"  \t", b"\r", GOOD + b"\r"]).entries == [PROFILE]


def test_what_only_the_tolerant_parser_takes_is_taken() -> None:
    (entry,) = read_rows([b'{"id": "1", "traits": {"ltv": NaN, "purchase_count": 1e999}}']).entries
    assert isinstance(entry, dict)
    assert math.isnan(entry["traits"]["ltv"])
    assert entry["traits"]["purchase_count"] == math.inf


def test_a_byte_order_mark_is_not_part_of_the_first_profile() -> None:
    assert read_rows([b"\xef\xbb\xbf" + GOOD, GOOD]).entries == [PROFILE, PROFILE]


@pytest.mark.parametrize("target", ["use_2", " use_2 ", "0", 7, True, ["use_2"], {"id": "use_2"}])
def test_a_profile_that_was_merged_into_another_is_left_out_and_counted(target: object) -> None:
    row = json.dumps({"id": "use_1", "merged_to": target, "traits": {}}).encode()
    assert read_rows([row, GOOD, row]) == ProfileRows([PROFILE], merged=2)


@pytest.mark.parametrize(
    "target", [None, "", "  ", "NULL", "null", "None", "NaN", "\\N", "use_1", False, [], {}, 0, float("nan")]
)
@pytest.mark.parametrize("name", ["id", "canonical_segment_id"])
def test_an_empty_merged_to_means_not_merged(target: object, name: str) -> None:
    row = json.dumps({name: "use_1", "merged_to": target, "traits": {"ltv": 5}}).encode()
    rows = read_rows([row])
    assert (len(rows.entries), rows.merged) == (1, 0)


@given(st.lists(st.none() | st.binary(max_size=20)))
def test_no_line_raises(lines: list[bytes | None]) -> None:
    assert len(read_rows(lines).entries) <= len(lines)
