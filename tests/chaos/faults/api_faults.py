"""Random faults of the two APIs: what passes, and what a space or an account is like for good."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from producer.sandbox import Fault, SpaceSpec, profiles

TIMES = (("0.5", "2.5"), ("1.5", "4"), ("3.5", "6"))
"""Pairs of MAVERA_TIMEOUT_S and MAVERA_SETTLE_S; workers and runs beside each other have different ones."""

_POISONS: Sequence[dict[str, Any]] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 400},
    {"kind": "status", "status": 403},
    {"kind": "body", "content": "null"},
    {"kind": "body", "content": "[]"},
)


def segment_fault(chance: random.Random) -> Fault:
    """A fault of a few requests to Segment."""
    kind = chance.choice(["status", "drop", "truncate", "slow", "html", "invalid_json", "deep", "redirect"])
    return Fault(
        "segment",
        kind,  # type: ignore[arg-type]
        times=chance.randint(1, 4),
        status=302 if kind == "redirect" else chance.choice([429, 500, 502, 503]),
        retry_after=chance.choice([None, "1", "date:+1", "date:-60"]),
        seconds=0.5,
        body=chance.choice(["json", "html"]),
    )


def mavera_fault(chance: random.Random) -> Fault:
    """A fault of one or two requests to Mavera."""
    kind = chance.choice(["status", "drop", "truncate", "slow", "created_lost", "created_error", "created_late"])
    return Fault(
        "mavera",
        kind,  # type: ignore[arg-type]
        times=chance.randint(1, 2),
        status=503 if kind == "created_error" else chance.choice([429, 500, 503]),
        retry_after=chance.choice([None, "1"]),
        seconds=chance.uniform(0.2, 2),
    )


def refused_updates(chance: random.Random) -> Fault:
    """A few updates are answered with 404, although the personas are there."""
    return Fault("mavera", "status", route="update", status=404, times=chance.randint(1, 3))


def poisons(chance: random.Random, space: str, spec: SpaceSpec) -> dict[int, Fault]:
    """Faults for good of five profiles of a space, by their numbers: their traits cannot be read."""
    people = [number for number, entry in enumerate(profiles(spec)) if isinstance(entry, dict)]
    chosen = chance.sample(people, len(_POISONS))
    return {
        number: Fault("segment", route="traits", space=space, profile=number, **poison)
        for number, poison in zip(chosen, _POISONS, strict=True)
    }


def shown(chance: random.Random) -> dict[str, Any]:
    """How much Mavera shows of personas: descriptions that are cut or missing, and maybe no persona by its id."""
    return {"mavera_shown": chance.choice([0, 40, 120, 200]), "mavera_reads": chance.random() < 0.5}
