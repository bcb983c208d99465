"""The destination: Mavera personas. `client` does HTTP; `persona`, `payload` and `reference` are pure."""

from worker.mavera.client import MaveraClient, PersonaGone, PostUncertain
from worker.mavera.listing import list_pages
from worker.mavera.payload import PersonaPayload, build_payload
from worker.mavera.persona import ListPage, Persona
from worker.mavera.reference import Reference, find_reference, make_reference, replace_reference
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
    "build_payload",
    "find_reference",
    "list_pages",
    "make_reference",
    "replace_reference",
]
