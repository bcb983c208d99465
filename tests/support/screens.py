"""What a screen shows, as text."""

from __future__ import annotations

import io

from rich.console import RenderableType

from producer.cli.terminal import Screen


def text(*renderables: RenderableType, width: int = 100, encoding: str = "utf-8") -> str:
    """Returns what a screen of `width` columns shows of some views."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    screen = Screen(stream)
    screen.width = width
    screen.print_views(*renderables)
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(encoding)
