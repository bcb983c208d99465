"""Stand-ins for Segment and Mavera over real HTTP, with synthetic spaces and faults on demand.

For the demo, the tests and the benchmarks. Stand-alone: it imports nothing else of this program, so that a
mistake in a client cannot hide behind the same mistake in its double.
"""

from __future__ import annotations

from producer.sandbox.faults import Fault
from producer.sandbox.journal import Entry, Journal
from producer.sandbox.mavera.personas import Persona
from producer.sandbox.options import SandboxOptions
from producer.sandbox.segment.pages import CURSOR_FORMS
from producer.sandbox.server import Sandbox, serve
from producer.sandbox.spaces.space import SpaceSpec, profile, profiles

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
