"""Stand-ins for Segment and Mavera over real HTTP, with synthetic spaces and faults on demand.

For the demo, the tests and the benchmarks. Stand-alone: it imports nothing else of this program, so that a
mistake in a client cannot hide behind the same mistake in its double.
"""

from __future__ import annotations

from worker.sandbox.faults import Fault
from worker.sandbox.journal import Entry, Journal
from worker.sandbox.options import SandboxOptions
from worker.sandbox.pages import CURSOR_FORMS, ring_index
from worker.sandbox.personas import Persona
from worker.sandbox.server import Sandbox, serve
from worker.sandbox.spaces import SpaceSpec, profile, profiles

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
    "ring_index",
    "serve",
]
