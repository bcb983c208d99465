"""Options of a sandbox: spaces, credentials, latencies, limits, faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from producer.sandbox.cursor_form import CursorForm
from producer.sandbox.faults import Fault
from producer.sandbox.spaces.space import SpaceSpec

FIXED_OPTIONS = frozenset(
    ("default_space", "page_size", "segment_window_s", "mavera_window_s", "cursor_form", "stock_personas", "faults")
)
"""Options that cannot change while the sandbox serves."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Everything that shapes a sandbox.

    Attributes:
        spaces: space id to its spec; any other id is answered with Segment's 404, unless `default_space` is
            set.
        default_space: what every unknown space id is.
        segment_token: the bearer token (and, in the `profile-api` dialect, the Basic user); None accepts
            anything.
        mavera_key: the bearer key; None accepts anything.
        latency_s: seconds from the arrival of a request at Segment to its answer, what the sandbox takes to make it
            included.
        listing_latency_s: instead of `latency_s` for a list without traits; None: the same.
        mavera_latency_s: seconds added to every Mavera answer, before the request takes effect.
        jitter_s: the longest time that a request to Segment is on its way before it arrives, and is counted
            against the limit; each one's is drawn evenly, from a fixed seed.
        page_size: the most profiles in a page of the `inline` dialect.
        segment_limit: requests a space may make in any sliding second; more are answered with 429.
        segment_limit_headers: Segment's answers carry `X-RateLimit-*` too.
        mavera_limit: requests a key may make in any sliding minute; None: no limit and no `X-RateLimit-*`
            headers.
        segment_window_s, mavera_window_s: the lengths of those windows, for tests that cannot wait a minute.
        credits: credit balance; None: unlimited. Each creation takes 300, and 402 is the answer when fewer are left.
        auto_recharge: credits that are added when a creation finds too few left; None: auto-recharge is off.
        usage_limit: most credits that the account may use in a billing period, which `/usage` reports; a
            creation beyond it is answered with 402; None: no limit.
        usage_route: False: `GET /usage` is answered with 404.
        cursor_form: where and how the `inline` dialect returns the next cursor, see `pages.CursorForm`.
        listing_lag_s: seconds until a created persona appears in Mavera's list.
        mavera_next_cursor: False: a full page of the list carries no cursor, as in the documented body.
        mavera_shown: how many characters of a description Mavera's list shows; 0: it has no descriptions; None: all.
            A search covers all of them nevertheless.
        mavera_reads: False: a persona cannot be read by its id (the documentation has no such route).
        mavera_odd_rows: whether Mavera's list begins with rows that are not personas, or lack fields of one.
        stock_personas: how many personas that are not custom Mavera lists from the start.
        faults: what goes wrong.
    """

    spaces: Mapping[str, SpaceSpec]
    default_space: SpaceSpec | None = None
    segment_token: str | None = "sandbox"
    mavera_key: str | None = "mvra_test_sandbox"
    latency_s: float = 0.0
    listing_latency_s: float | None = None
    mavera_latency_s: float = 0.0
    jitter_s: float = 0.0
    page_size: int = 200
    segment_limit: int | None = None
    segment_limit_headers: bool = False
    mavera_limit: int | None = None
    segment_window_s: float = 1.0
    mavera_window_s: float = 60.0
    credits: int | None = None
    auto_recharge: int | None = None
    usage_limit: int | None = None
    usage_route: bool = True
    cursor_form: str = "data.cursor:object"
    listing_lag_s: float = 0.0
    mavera_next_cursor: bool = True
    mavera_shown: int | None = None
    mavera_reads: bool = True
    mavera_odd_rows: bool = False
    stock_personas: int = 0
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        CursorForm.parse(self.cursor_form)
        if self.page_size < 1:
            raise ValueError("page_size must be at least 1")
        for name in ("latency_s", "listing_latency_s", "mavera_latency_s", "jitter_s", "listing_lag_s"):
            _not_negative(name, getattr(self, name))
        for name in ("segment_limit", "mavera_limit", "credits", "auto_recharge", "usage_limit", "mavera_shown"):
            _not_negative(name, getattr(self, name))

    def space(self, space_id: str) -> SpaceSpec | None:
        """Returns the spec of a space, or None if the sandbox does not have it."""
        return self.spaces.get(space_id, self.default_space)

    def segment_latency_s(self, *, with_traits: bool) -> float:
        """Returns the latency of an answer of Segment, in seconds."""
        if with_traits or self.listing_latency_s is None:
            return self.latency_s
        return self.listing_latency_s

    def changed(self, changes: Mapping[str, Any]) -> SandboxOptions:
        """Returns a copy with `changes`.

        Raises:
            ValueError: An option cannot change while serving, or a number is negative.
        """
        changeable = {one.name for one in fields(self)} - FIXED_OPTIONS
        if others := sorted(changes.keys() - changeable):
            raise ValueError(f"cannot change {', '.join(others)} while serving")
        return replace(self, **changes)


def _not_negative(name: str, value: float | None) -> None:
    if value is not None and value < 0:
        raise ValueError(f"{name} cannot be negative")
