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
    extra = answer.model_extra or {}
    details = extra.get("details")
    if not isinstance(details, dict):
        return ()
    top = {name: value for name, value in extra.items() if value is not None}
    return tuple(_ignored(sent, {**details, **top, "name": answer.name, "description": answer.description}))


def _ignored(sent: Mapping[str, object], shown: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for name, value in sent.items():
        found = shown.get(name)
        if isinstance(value, Mapping) and isinstance(found, Mapping):
            yield from _ignored(value, found, f"{prefix}{name}.")
        elif found is None and value not in (None, "", [], {}):
            yield prefix + name
