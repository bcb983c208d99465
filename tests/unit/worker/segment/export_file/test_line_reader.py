"""LineReader of a stream: each once, whatever the reads, and from any place on."""

from __future__ import annotations

from io import BufferedReader, BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.segment.export_file import line_reader as module
from worker.segment.export_file.line_reader import LineReader

CONTENTS = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n"]), max_size=30).map(b"".join)


class Pipe(BytesIO):
    """Gives `size` bytes at a time, however many are asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        super().__init__(content)
        self._size = size

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        return super().readinto(memoryview(buffer)[: self._size])


def read_all(lines: LineReader) -> list[tuple[list[bytes | None], int]]:
    """Everything there is, and the offset after each read."""
    found = []
    while not lines.ended:
        found.append((lines.read(), lines.offset))
    return found


def together(parts: list[tuple[list[bytes | None], int]]) -> list[bytes | None]:
    return [line for part, _ in parts for line in part]


def over(content: bytes, size: int = 1 << 20, *, looks_ahead: bool = True) -> LineReader:
    return LineReader(BufferedReader(Pipe(content, size)), looks_ahead=looks_ahead)


def expected(content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    return lines if lines[-1] else lines[:-1]


@given(CONTENTS, st.integers(1, 7), st.booleans())
def test_every_line_comes_once_whatever_the_reads(content: bytes, size: int, looks_ahead: bool) -> None:
    parts = read_all(over(content, size, looks_ahead=looks_ahead))
    assert together(parts) == expected(content)
    if parts:
        assert parts[-1][1] == len(content)


@given(CONTENTS, st.integers(1, 7))
def test_reading_on_from_an_offset_yields_the_rest(content: bytes, size: int) -> None:
    seen: list[bytes | None] = []
    for part, offset in read_all(over(content, size)):
        seen += part
        rest = over(content, 3)
        rest.go_to(offset)
        assert seen + together(read_all(rest)) == expected(content)


def test_looking_ahead_the_last_read_knows_that_it_is_the_last() -> None:
    lines = over(b"a\nb\n")
    assert (lines.read(), lines.ended) == ([b"a", b"b"], True)
    patient = over(b"a\nb\n", looks_ahead=False)
    assert (patient.read(), patient.ended) == ([b"a", b"b"], False)
    assert (patient.read(), patient.ended) == ([], True)


@pytest.mark.parametrize("size", [1, 4, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n", b"\nlast"])
def test_a_line_that_is_too_long_is_dropped_and_nothing_else(
    size: int, end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 6)
    content = b"123456\n1234567\nnext\n" + b"x" * 50 + end
    parts = read_all(over(content, size))
    assert together(parts) == [b"123456", None, b"next", None, *([b"last"] if end == b"\nlast" else [])]
    assert parts[-1][1] == len(content)


def test_a_line_without_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    held: list[int] = []

    class Endless(BytesIO):
        given = 0

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            held.append(len(lines._unfinished))
            if self.given > 1_000_000:
                return 0
            self.given += 100
            buffer[:100] = b"x" * 100
            return 100

    lines = LineReader(BufferedReader(Endless()), looks_ahead=False)
    assert lines.read() == [None]
    assert max(held) <= 1000 + module.READ_BYTES
    assert max(held) < 10_000
