"""The `profile-api` dialect: a list of identifiers, then one call for the traits of each profile."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from producer.sandbox.cursors import Place, decode, encode
from producer.sandbox.fault_answers import json_response
from producer.sandbox.segment.pages import to_json
from producer.sandbox.segment.requests import Target, Window, error_response, parsed_limit
from producer.sandbox.spaces.space import SpaceSpec, profile, profile_id, profile_index

_MAX_LIST_LIMIT = 100
_MAX_TRAITS_LIMIT = 200
_DEFAULT = 10
_COMPUTED = frozenset(
    {
        "ltv",
        "lifetime_value",
        "purchase_count",
        "order_count",
        "churn_risk",
        "churn_probability",
        "engagement_tier",
    }
)


def parse_window(target: Target, query: Mapping[str, str]) -> Window | web.Response:
    """Returns which profiles, or which traits of one profile, are requested; or a 400."""
    maximum = _MAX_LIST_LIMIT if target.profile is None else _MAX_TRAITS_LIMIT
    limit = parsed_limit(query, _DEFAULT)
    if limit is None or limit > maximum:
        return error_response(400, "bad_request", f"limit must be between 1 and {maximum}")
    cursor = query.get("next")
    if not cursor:
        return Window(Place(0), limit)
    place = decode(cursor, _scope(target))
    if place is None:
        return error_response(400, "invalid_cursor", "next is not valid for this list")
    return Window(place, limit)


def answer(target: Target, spec: SpaceSpec, part: Window, query: Mapping[str, str]) -> web.Response:
    """Returns one page of the list, or of the traits of one profile (404 if the space has no such profile)."""
    if target.profile is None:
        return _list(target, spec, part)
    index = profile_index(spec, target.profile)
    if index is None:
        return error_response(404, "not_found", "The resource was not found.")
    return _traits(target, profile(spec, index), part, query)


def _list(target: Target, spec: SpaceSpec, part: Window) -> web.Response:
    start = part.place.start
    stop = start + part.count(spec)
    rows = [_row(spec, index) for index in range(start, stop)]
    return json_response(to_json({"data": rows, "cursor": _cursor(target, stop, stop < spec.profiles, part.limit)}))


def _row(spec: SpaceSpec, index: int) -> object:
    entry = profile(spec, index)
    if not isinstance(entry, dict):
        return entry
    return {"segment_id": profile_id(spec, index), "metadata": {"created_at": "2025-01-01T00:00:00.000Z"}}


def _traits(target: Target, entry: object, part: Window, query: Mapping[str, str]) -> web.Response:
    found = entry.get("traits") if isinstance(entry, dict) else None
    traits = dict(found) if isinstance(found, dict) else {}
    if include := query.get("include"):
        traits = {name: traits[name] for name in include.split(",") if name in traits}
    if kind := query.get("class"):
        traits = {name: value for name, value in traits.items() if _class(name, value) == kind}
    start = part.place.start
    chosen = dict(list(traits.items())[start : start + part.limit])
    if query.get("verbose") == "true":
        chosen = {
            name: {"value": value, "source_id": "sandbox", "updated_at": "2025-01-01T00:00:00.000Z"}
            for name, value in chosen.items()
        }
    stop = start + len(chosen)
    return json_response(to_json({"traits": chosen, "cursor": _cursor(target, stop, stop < len(traits), part.limit)}))


def _class(name: str, value: object) -> str:
    if isinstance(value, bool) and name not in _COMPUTED:
        return "audience"
    return "computed_trait" if name in _COMPUTED else "custom_trait"


def _cursor(target: Target, stop: int, more: bool, limit: int) -> dict[str, object]:
    following = encode(Place(stop), _scope(target)) if more else ""
    url = f"{target.path}?next={following}" if more else ""
    return {"url": url, "has_more": more, "next": following, "limit": limit}


def _scope(target: Target) -> str:
    return target.scope if target.profile is None else f"{target.scope}/{target.profile}"
