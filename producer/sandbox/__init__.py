"""The sandbox: answers as Segment and Mavera do, over real HTTP, with synthetic spaces and faults on demand.

For the demo, the tests and the benchmarks. Stand-alone: it imports nothing else of this program, so that a
mistake in a client cannot hide behind the same mistake in its double. `Sandbox` and `serve` are imported on first use,
because commands without `--sandbox` need not load an HTTP server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from producer.sandbox.cursor_form import CURSOR_FORMS
from producer.sandbox.faults import Fault
from producer.sandbox.journal import Entry, Journal
from producer.sandbox.options import SandboxOptions
from producer.sandbox.personas import Persona
from producer.sandbox.spaces.space import SpaceSpec, profile, profiles

if TYPE_CHECKING:
    from producer.sandbox.server import Sandbox, serve

__all__ = [
    "CURSOR_FORMS",
    "Entry",
    "Fault",
    "Journal",
    "Persona",
    "Sandbox",
    "SandboxOptions",
    "SpaceSpec",
    "profile",
    "profiles",
    "serve",
]


def __getattr__(name: str) -> Any:
    if name not in ("Sandbox", "serve"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from producer.sandbox import server

    return getattr(server, name)
