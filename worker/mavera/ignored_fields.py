"""Fields that Mavera ignored: those that were sent and that its answer does not return.

Nothing is concluded from an answer without `details`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.mavera.persona import Persona


def find_ignored_fields(sent: Mapping[str, object], answer: Persona | None) -> tuple[str, ...]:
    """Returns the names of the sent fields that neither the answer nor its `details` contain; `outer.inner` if
    nested."""
    if answer is None:
        return ()
    if not isinstance(_extra(answer).get("details"), dict):
        return ()
    return tuple(_ignored(sent, returned_fields(answer)))


def returned_fields(answer: Persona) -> dict[str, object]:
    """Returns the fields of an answer and its `details` by the names under which they are sent."""
    details = _extra(answer).get("details")
    top = {name: value for name, value in _extra(answer).items() if value is not None}
    inner = details if isinstance(details, dict) else {}
    return {**inner, **top, "name": answer.name, "description": answer.description}


def _extra(answer: Persona) -> dict[str, object]:
    return answer.model_extra or {}


def _ignored(sent: Mapping[str, object], shown: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in sent.items():
        found = shown.get(name)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            yield from _ignored(value, found, f"{prefix}{name}.")
        elif found is None and value not in (None, "", [], {}):
            yield prefix + name
