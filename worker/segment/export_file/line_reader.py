"""Reads lines of a stream in bounded memory, several at a time, with the offset at which the next line begins.

An offset counts uncompressed bytes and is always the start of a line, so that a reader that continues there reads every
line exactly once.
"""

from __future__ import annotations

from io import BufferedReader

READ_BYTES = 1 << 16
"""Bytes of one read: about 270 profiles of ten traits. Larger reads do not stay in the processor's cache."""

LONGEST_LINE = 4 << 20
"""Bytes. A longer line is dropped while it is read."""


class LineReader:
    """Reads lines from `stream`, which is at its start. offset: where the next line begins. unfinished: whether the
    last line that was read is the last of the stream and has no end.

    Args:
        looks_ahead: Whether to find out after each read if it was the last one; on a pipe that could wait for a long
            time.
    """

    def __init__(self, stream: BufferedReader, *, looks_ahead: bool) -> None:
        self.offset = 0
        self.ended = False
        self.unfinished = False
        self._stream = stream
        self._looks_ahead = looks_ahead
        self._unfinished = b""
        self._dropped = 0

    def read(self) -> list[bytes | None]:
        """Reads the next lines.

        Returns:
            Lines without their ends, None for each that is too long. Empty at the end of the stream.

        Raises:
            Exception: Whatever the stream raises.
        """
        lines: list[bytes | None] = []
        while not lines and not self.ended:
            chunk = self._stream.read1(READ_BYTES)
            lines += self._whole_lines(chunk)
            if not chunk or (self._looks_ahead and not self._stream.peek(1)):
                lines += self._last_line()
        return lines

    def go_to(self, offset: int) -> None:
        """Continues at `offset`, the start of a line. In a compressed stream everything before it is read."""
        if offset != self.offset:
            self._stream.seek(offset)
            self.offset, self._unfinished, self._dropped = offset, b"", 0

    def _whole_lines(self, chunk: bytes) -> list[bytes | None]:
        """Returns the lines that end in this chunk."""
        whole, end, unfinished = (self._unfinished + chunk).rpartition(b"\n")
        lines: list[bytes | None] = []
        if end:
            self.offset += self._dropped + len(whole) + 1
            lines += [None if len(line) > LONGEST_LINE else line for line in whole.split(b"\n")]
            if self._dropped:
                lines[0] = None
            self._dropped = 0
        if self._dropped or len(unfinished) > LONGEST_LINE:
            self._dropped += len(unfinished)
            unfinished = b""
        self._unfinished = unfinished
        return lines

    def _last_line(self) -> list[bytes | None]:
        """Returns the last line of the stream if it has no line end."""
        self.ended = True
        line, dropped = self._unfinished, self._dropped
        self.unfinished = bool(line or dropped)
        self.offset += len(line) + dropped
        self._unfinished, self._dropped = b"", 0
        return [None if dropped else line] if line or dropped else []
