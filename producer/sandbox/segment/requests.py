"""Parsing of Segment requests, and Segment's error bodies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from producer.sandbox.cursors import Place
from producer.sandbox.fault_answers import json_response
from producer.sandbox.segment.pages import to_json
from producer.sandbox.spaces.space import SpaceSpec


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a path. `profile` is set for the traits of one profile; `dialect` is `inline` or
    `profile-api`."""

    dialect: str
    route: str
    space_id: str
    collection: str
    path: str
    profile: str | None = None

    @property
    def scope(self) -> str:
        """The list for which a cursor is valid, with traits and without."""
        return f"{self.dialect}:{self.space_id}/{self.collection}"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a list that is requested."""

    place: Place
    limit: int

    @property
    def page(self) -> int:
        """The number of the page, from 0."""
        return self.place.start // self.limit

    def count(self, spec: SpaceSpec) -> int:
        """Returns how many entries it holds."""
        return max(0, min(self.limit, spec.profiles - self.place.start))


def parse_target(path: str, query: Mapping[str, str]) -> Target | None:
    """Returns what the path names, or None for a path that neither dialect has."""
    dialect = "inline"
    rest = path
    if path.startswith("/v1/"):
        dialect, rest = "profile-api", path[3:]
    parts = rest.split("/")
    if len(parts) < 6 or parts[1] != "spaces" or parts[3] != "collections" or parts[5] != "profiles":
        return None
    if parts[4] not in ("users", "accounts"):
        return None
    if dialect == "inline":
        if len(parts) != 6:
            return None
        route = "page" if "traits" in query.get("include", "").split(",") else "listing"
        return Target(dialect, route, parts[2], parts[4], path)
    if len(parts) == 6:
        return Target(dialect, "profiles", parts[2], parts[4], path)
    if len(parts) == 8 and parts[7] == "traits":
        return Target(dialect, "traits", parts[2], parts[4], path, parts[6])
    return None


def parsed_limit(query: Mapping[str, str], default: int) -> int | None:
    """Returns the requested limit, or None if it is not a positive integer."""
    text = query.get("limit")
    if text is None:
        return default
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def error_response(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Returns an error in Segment's format."""
    return json_response(to_json({"error": {"code": code, "message": message}}), status, headers)
