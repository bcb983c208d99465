"""Bodies of `inline` pages: profiles as JSON, and the next cursor."""

from __future__ import annotations

import json

from producer.sandbox.spaces.space import SpaceSpec, profile, profile_id


def to_json(value: object) -> bytes:
    """Compact JSON; the standard library's, because a 400-digit integer must come out whole."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def page_entry(spec: SpaceSpec, index: int, traits: bool) -> object:
    """Returns one entry of a page; without traits, only an identifier."""
    return profile(spec, index) if traits else {"segment_id": profile_id(spec, index)}


def encode_profiles(spec: SpaceSpec, indexes: range | list[int], traits: bool) -> bytes:
    """Returns the body of a page up to and including its list of profiles."""
    return b'{"data":{"profiles":' + to_json([page_entry(spec, index, traits) for index in indexes])
