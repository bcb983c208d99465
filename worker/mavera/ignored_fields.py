"""What Mavera did with what was sent: the fields that its answer does not show again were ignored.

Pure. An answer that shows no details at all says nothing, and nothing is concluded from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.mavera.client import Persona


def ignored_fields(sent: Mapping[str, object], answer: Persona | None) -> tuple[str, ...]:
    """Names of the fields of `sent` that stand neither in the answer nor in its `details`; `outer.inner` if nested."""
    if answer is None:
        return ()
    if not isinstance(_extra(answer).get("details"), dict):
        return ()
    return tuple(_ignored(sent, shown_fields(answer)))


def shown_fields(answer: Persona) -> dict[str, object]:
    """What an answer shows of a persona, by the names under which it is sent: its own fields and its `details`."""
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
