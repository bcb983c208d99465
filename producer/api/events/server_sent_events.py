"""The format of server-sent events (HTML Living Standard, 9.2). Pure."""

from __future__ import annotations


def event_frame(name: str, event_id: str, data: str) -> bytes:
    """Returns an event as a frame of the stream.

    Args:
        name: Type of the event, without line ends.
        event_id: Id of the event, without line ends.
        data: Text of one or more lines.
    """
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"id: {event_id}\nevent: {name}\n{lines}\n".encode()


def comment_frame(text: str) -> bytes:
    """Returns a comment, which clients ignore.

    Args:
        text: One line.
    """
    return f": {text}\n\n".encode()


def retry_frame(wait_ms: int) -> bytes:
    """Returns how long a client waits before it connects again, in milliseconds."""
    return f"retry: {wait_ms}\n\n".encode()
