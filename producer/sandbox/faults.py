"""The faults of a sandbox: what goes wrong, on which requests, and how often.

A fault is a value. The registry counts the requests that each fault matches, and chooses the fault of a request. The
answers of faults are in `fault_answers`; faults that change what an API does are in `segment` and `mavera`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, Self, get_args

Api = Literal["segment", "mavera"]
Kind = Literal[
    "status",
    "body",
    "drop",
    "truncate",
    "hang",
    "hold",
    "slow",
    "html",
    "invalid_json",
    "not_finite",
    "deep",
    "oversize",
    "gzip_bomb",
    "redirect",
    "cursor_loop",
    "empty_pages",
    "expired_cursor",
    "created_lost",
    "created_error",
    "created_late",
    "ignore_field",
]
_SEGMENT_ONLY = frozenset({"body", "not_finite", "cursor_loop", "empty_pages", "expired_cursor"})
_MAVERA_ONLY = frozenset({"created_lost", "created_error", "created_late", "ignore_field"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Which requests it matches:
        api: `segment` or `mavera`.
        route: `page` (inline, with traits), `listing` (inline, without), `profiles` and `traits`
            (profile-api); `create`, `update`, `list`, `delete`, `usage`. None: all of the API.
        method: an HTTP method. None: all.
        space: a space id. None: all.
        page: the number of the page (from 0, of the page size in use) in a list of profiles. None: all.
        profile: the number (from 0) of the profile whose traits are asked for (profile-api). None: all.
    Which of those requests it changes (all of them if none is given):
        at: the n-th (from 1), and those after it as long as `times` lasts; `times` is then 1 unless given.
        every: each k-th.
        probability: this share, decided by `seed`, so that a run can be repeated.
        times: at most so many altogether. 0: no end.
        for_s: for this many seconds from the first request that it changes. None: no end.
    What happens:
        status: answers `status` with `code` and a `body` of `json` or `html`; `retry_after` is put into the
            header unchanged, except that `date:+5` and `date:-60` become the HTTP date this many seconds from
            now.
        drop: the connection is cut instead of an answer. truncate: half-way through the answer.
        body: 200 with `content`.
        hang: no answer for `seconds` (None: until faults are cleared), then the connection is cut.
        hold: the request is taken up only when faults are cleared. slow: only after `seconds`.
        html, invalid_json: 200 with such a body. not_finite: the first `ltv` of a page is `token` (`NaN`,
            `Infinity`, `1e999`). deep: 200 with JSON of `depth` levels.
        oversize: 200 with `size_mb` MB, streamed. gzip_bomb: so much, but packed small.
        redirect: `status` 302 to `location`: `same` (this host, where it is answered), `other` (another name
            for this host; see `Journal.elsewhere`), or a URL.
        cursor_loop: the next cursor of a page leads back so that the cursors repeat with `period`.
        empty_pages: this page and `count` - 1 after it are empty but have new cursors, then the list continues.
            0: no end.
        expired_cursor: 400 with `code` for a request that brings a cursor; requests without one do not match.
        created_lost: the persona is created (or updated), then the connection is cut. created_error: then
            `status` is answered. created_late: the connection is cut at once, the persona comes `seconds`
            later (the journal then notes the arrival of `mavera.late`).
        ignore_field: the field `field` (dots lead inwards) of a POST or PATCH is dropped without a word.
    """

    api: Api
    kind: Kind
    route: str | None = None
    method: str | None = None
    space: str | None = None
    page: int | None = None
    profile: int | None = None
    at: int | None = None
    every: int | None = None
    probability: float | None = None
    seed: int = 0
    times: int | None = None
    for_s: float | None = None
    status: int = 500
    code: str | None = None
    body: Literal["json", "html"] = "json"
    content: str = "null"
    retry_after: str | None = None
    seconds: float | None = None
    token: str = "NaN"
    depth: int = 100_000
    size_mb: int = 300
    location: str = "same"
    period: int = 1
    count: int = 0
    field: str = "description"

    def __post_init__(self) -> None:
        if self.api not in get_args(Api):
            raise ValueError(f"unknown api {self.api!r}")
        if self.kind not in get_args(Kind):
            raise ValueError(f"unknown kind of fault {self.kind!r}: use one of {', '.join(get_args(Kind))}")
        if self.kind in (_MAVERA_ONLY if self.api == "segment" else _SEGMENT_ONLY):
            raise ValueError(f"{self.api} has no fault {self.kind!r}")
        if self.at is not None and self.at < 1:
            raise ValueError("at counts from 1")
        if self.every is not None and self.every < 1:
            raise ValueError("every must be at least 1")

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Returns the fault of a JSON object.

        Raises:
            TypeError: `value` is not an object.
            ValueError: Its fields are not those of a fault.
        """
        if not isinstance(value, Mapping):
            raise TypeError("a fault is a JSON object")
        fields: dict[str, Any] = {str(key): item for key, item in value.items()}
        if unknown := sorted(set(fields) - {field.name for field in dataclasses.fields(cls)}):
            raise ValueError(f"a fault has no {', '.join(unknown)}")
        if missing := sorted({"api", "kind"} - set(fields)):
            raise ValueError(f"a fault needs {', '.join(missing)}")
        return cls(**fields)


class RequestFacts(NamedTuple):
    """The parts of a request that a fault can match; as in `Fault`."""

    api: Api
    route: str
    method: str
    space: str | None = None
    page: int | None = None
    has_cursor: bool = False
    profile: int | None = None


@dataclass(slots=True)
class _FaultCounter:
    fault: Fault
    seen: int = 0
    fired: int = 0
    first_at: float = 0.0


class FaultRegistry:
    """The faults in force, with the number of requests that each has matched and changed.

    Args:
        faults: The faults in force from the start.
        clock: Returns monotonic seconds.
    """

    def __init__(self, faults: Iterable[Fault] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counted = [_FaultCounter(fault) for fault in faults]

    def __bool__(self) -> bool:
        return bool(self._counted)

    def add(self, fault: Fault) -> None:
        """Adds a fault; it counts requests from now on."""
        self._counted.append(_FaultCounter(fault))

    def clear(self) -> None:
        """Ends all faults."""
        self._counted.clear()

    def choose_fault(self, request: RequestFacts) -> Fault | None:
        """Counts the request for every fault that it matches, and returns the first one that is due."""
        chosen: Fault | None = None
        for counted in self._counted:
            if not _matches(counted.fault, request):
                continue
            counted.seen += 1
            if chosen is None and _due(counted) and not self._over(counted):
                counted.fired += 1
                chosen = counted.fault
        return chosen

    def _over(self, counted: _FaultCounter) -> bool:
        if counted.fault.for_s is None:
            return False
        now = self._clock()
        if not counted.fired:
            counted.first_at = now
        return now - counted.first_at >= counted.fault.for_s


def _matches(fault: Fault, request: RequestFacts) -> bool:
    return (
        fault.api == request.api
        and fault.route in (None, request.route)
        and fault.method in (None, request.method)
        and fault.space in (None, request.space)
        and fault.page in (None, request.page)
        and fault.profile in (None, request.profile)
        and (fault.kind != "expired_cursor" or request.has_cursor)
    )


def _due(counted: _FaultCounter) -> bool:
    fault = counted.fault
    most = fault.times if fault.times is not None else 1 if fault.at is not None else 0
    if most and counted.fired >= most:
        return False
    if fault.at is not None:
        return counted.seen >= fault.at
    if fault.every is not None:
        return counted.seen % fault.every == 0
    if fault.probability is not None:
        digest = blake2b(b"%d|%d" % (fault.seed, counted.seen), digest_size=8).digest()
        return int.from_bytes(digest, "big") < fault.probability * 2**64
    return True
