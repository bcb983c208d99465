"""`--help` in a hurry: typer draws it with rich, and for that imports two parts of rich that it does not use here.

One reads Markdown, which our help texts are not, the other draws tracebacks, which would show tokens and are switched
off. With them come a parser and a highlighter, a quarter of all that `--help` takes.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NOT_NEEDED = ("rich.markdown", "rich.traceback")


def import_renderer() -> None:
    """Imports what typer draws help with, without what it does not need; whoever else needs that gets it as ever."""
    if "typer.rich_utils" in sys.modules:
        return
    stand_ins = [name for name in NOT_NEEDED if name not in sys.modules]
    sys.modules.update({name: _StandIn(name) for name in stand_ins})
    try:
        import typer.rich_utils  # noqa: F401
    finally:
        for name in stand_ins:
            del sys.modules[name]


class _StandIn(ModuleType):
    """A module in which every public name is a class of which there is no instance."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
