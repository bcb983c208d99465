"""Synthetic spaces: the i-th profile of a space is a pure function of its spec and i.

So a space of any size costs no memory, two processes agree on it without talking, and a test can compute what
the program should have found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from struct import Struct
from types import MappingProxyType
from typing import Literal

from producer.sandbox.cursors import Place, decode, encode
from producer.sandbox.spaces.mixed_profiles import mixed_entry
from producer.sandbox.spaces.saas_profiles import saas_entry

Kind = Literal["recipe", "mixed", "wide", "saas"]

_DRAWS = Struct("<16I")
_SCALE = 2.0**-32

_RECIPE: tuple[Mapping[str, object], ...] = (
    {
        "ltv": 1200,
        "purchase_count": 8,
        "engagement_tier": "high",
        "churn_risk": 0.05,
        "plan": "pro",
        "industry": "SaaS",
    },
    {
        "ltv": 450,
        "purchase_count": 3,
        "engagement_tier": "medium",
        "churn_risk": 0.22,
        "plan": "starter",
        "industry": "E-commerce",
    },
    {
        "ltv": 85,
        "purchase_count": 1,
        "engagement_tier": "low",
        "churn_risk": 0.65,
        "plan": "free",
        "industry": "Agency",
    },
)
_WIDE_PLANS = ("pro", "starter", "free", "team", "enterprise")
_WIDE_INDUSTRIES = ("SaaS", "E-commerce", "Agency", "Fintech", "Health", "Media", "Travel", "Education")
_WIDE_COUNTRIES = ("DE", "FR", "GB", "US", "JP", "BR", "IN", "ZA")
_WIDE_TIERS = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class SpaceSpec:
    """A space that exists only as a rule.

    Attributes:
        profiles: how many entries it has.
        kind: `recipe` repeats the recipe's three sample profiles; `mixed` is realistic and dirty (see
            `dirty`); `wide` is clean, ten traits and about 240 bytes a profile; `saas` are the users of a B2B
            product (see `saas`).
        seed: another seed is another space of the same kind; `recipe` has only one.
        as_of: Unix seconds; the dates of a `saas` space lie before it.
    """

    profiles: int = 60
    kind: Kind = "recipe"
    seed: int = 0
    as_of: float = 1_760_000_000.0

    def __post_init__(self) -> None:
        if self.profiles < 0:
            raise ValueError(f"a space cannot have {self.profiles} profiles")
        if self.kind not in _MAKERS:
            raise ValueError(f"unknown kind of space {self.kind!r}: use one of {', '.join(_MAKERS)}")


def profile(spec: SpaceSpec, index: int) -> object:
    """Returns the entry at `index` (from 0) as Segment would list it; usually an object with `traits`, in `mixed`
    anything.
    """
    return _MAKERS[spec.kind](spec, index)


def profiles(spec: SpaceSpec) -> Iterator[object]:
    """Every entry of the space, in order."""
    return map(partial(_MAKERS[spec.kind], spec), range(spec.profiles))


def profile_id(spec: SpaceSpec, index: int) -> str:
    """Returns the identifier of an entry; it can be read back, see `profile_index`."""
    return "use_" + encode(Place(index), f"profile:{spec.seed}")


def profile_index(spec: SpaceSpec, identifier: str) -> int | None:
    """Returns the index of the entry with this identifier, or None if the space has none such."""
    place = decode(identifier.removeprefix("use_"), f"profile:{spec.seed}")
    return place.start if place is not None and place.start < spec.profiles else None


def _draws(seed: int, index: int) -> tuple[int, ...]:
    """Sixteen independent 32-bit numbers for one profile; a hash, because a generator's state has to be
    seeded."""
    return _DRAWS.unpack(blake2b(b"%d/%d" % (seed, index)).digest())


def _recipe(_spec: SpaceSpec, index: int) -> object:
    return {"traits": dict(_RECIPE[index % 3])}


def _mixed(spec: SpaceSpec, index: int) -> object:
    return mixed_entry(profile_id(spec, index), _draws(spec.seed, index))


def _saas(spec: SpaceSpec, index: int) -> object:
    return saas_entry(profile_id(spec, index), _draws(spec.seed, index), spec.as_of)


def _wide(spec: SpaceSpec, index: int) -> object:
    draw = _draws(spec.seed, index)
    return {
        "traits": {
            "ltv": round((draw[0] * _SCALE) ** 2 * 2000, 2),
            "purchase_count": draw[1] % 14,
            "churn_risk": round(draw[2] * _SCALE, 3),
            "engagement_tier": _WIDE_TIERS[draw[3] % 3],
            "plan": _WIDE_PLANS[draw[4] % 5],
            "industry": _WIDE_INDUSTRIES[draw[5] % 8],
            "country": _WIDE_COUNTRIES[draw[6] % 8],
            "newsletter_subscriber": draw[7] % 2 == 0,
            "sessions_last_30_days": draw[8] % 90,
            "last_seen_at": f"2025-{draw[9] % 12 + 1:02d}-{draw[10] % 28 + 1:02d}T08:15:00.000Z",
        }
    }


_MAKERS = MappingProxyType({"recipe": _recipe, "mixed": _mixed, "wide": _wide, "saas": _saas})
