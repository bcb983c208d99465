"""The destination: Mavera personas. The client knows HTTP; the payload and the reference are pure."""

from worker.mavera.client import ListPage, MaveraClient, Persona, PersonaGone, PostUncertain
from worker.mavera.listing import list_pages
from worker.mavera.payload import PersonaPayload, build
from worker.mavera.reference import Reference, find, refer, reference
from worker.mavera.usage import CREDITS_PER_PERSONA, Usage

__all__ = [
    "CREDITS_PER_PERSONA",
    "ListPage",
    "MaveraClient",
    "Persona",
    "PersonaGone",
    "PersonaPayload",
    "PostUncertain",
    "Reference",
    "Usage",
    "build",
    "find",
    "list_pages",
    "refer",
    "reference",
]
