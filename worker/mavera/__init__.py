"""The destination: Mavera personas. `client` does HTTP; `persona`, `payload` and `reference` are pure.

The names are imported on first use: a command that only shows prices and plans need not wait for the HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.lazy_names import import_on_use

if TYPE_CHECKING:
    from worker.mavera.client import MaveraClient
    from worker.mavera.errors import PersonaGone, PostUncertain
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

__getattr__ = import_on_use(
    __name__,
    {
        "client": "MaveraClient",
        "errors": "PersonaGone PostUncertain",
        "listing": "list_pages",
        "payload": "PersonaPayload build_payload",
        "persona": "ListPage Persona",
        "reference": "Reference find_reference make_reference replace_reference",
        "usage": "CREDITS_PER_PERSONA Usage",
    },
)
