"""Whatever a file holds, and wherever it is cut: each line is counted once, or the file is refused."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.export_files import NDJSON, count_entries
from worker.errors import ApiError, Permanent
from worker.segment.export_file.file_formats import recognise_bytes
from worker.segment.export_file.line_formats import judge_lines

PIECES = st.sampled_from(
    [
        *(
            b"{",
            b"}",
            b"[",
            b"\n",
            b"\r\n",
            b",",
            b'"',
            b"\x00",
            b"\xff\xfe",
            b"\xef\xbb\xbf",
            b"\x1f\x8b",
            b"null",
            b"1",
        ),
        *(b'{"traits": {"ltv": 1}}\n', b'{"id": "a", "merged_to": "b", "traits": {}}\n', b'{"ltv": 1}\n', b"a,b\n"),
        *(b'{"id": "a", "tra', b"  \n"),
    ]
)
ANYTHING = st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join)


@examples(120, thorough=2000)
@given(data=ANYTHING, zipped=st.booleans())
def test_whatever_a_file_holds_is_counted_once_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "profiles"
    path.write_bytes(gzip.compress(data) if zipped else data)
    try:
        entries, merged = count_entries(str(path))
    except ApiError as error:
        assert error.code in {"file_format", "file_corrupt"}  # noqa: PT017
        return
    filled = [line for line in data.split(b"\n") if line and not line.isspace()]
    assert entries + merged == len(filled)


@examples(100, thorough=1500)
@given(st.integers(1, len(NDJSON) - 1))
def test_a_file_cut_anywhere_is_read_whole_lines_only_or_refused(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "profiles"
    path.write_text(NDJSON[:cut])
    at_the_end_of_a_line = NDJSON[cut - 1] == "\n" or NDJSON[cut] == "\n"
    try:
        entries, _ = count_entries(str(path))
    except Permanent as error:
        assert (error.code, at_the_end_of_a_line) == ("file_corrupt", False)  # noqa: PT017
    else:
        assert at_the_end_of_a_line
        assert entries == len(NDJSON[:cut].splitlines())


@given(st.binary(max_size=600))
def test_no_bytes_raise(head: bytes) -> None:
    recognise_bytes(head)


@given(st.lists(st.none() | st.binary(max_size=30), max_size=30), st.booleans(), st.booleans())
def test_no_lines_raise(found: list[bytes | None], ended: bool, unfinished: bool) -> None:
    judgement = judge_lines(found, ended=ended, unfinished=unfinished)
    assert judgement.certain or not ended
