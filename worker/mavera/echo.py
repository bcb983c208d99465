"""What Mavera did with what was sent: the fields that its answer does not show again were ignored.

Pure. An answer that shows no details at all says nothing, and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from worker.mavera.client import Persona


def ignored_fields(sent: Mapping[str, object], answer: Persona | None) -> tuple[str, ...]:
    """Names of the fields of `sent` that stand neither in the answer nor in its `details`."""
    if answer is None:
        return ()
    fields = answer.model_dump()
    details = fields.get("details")
    if not isinstance(details, dict):
        return ()
    return tuple(name for name in sent if fields.get(name) is None and name not in details)
