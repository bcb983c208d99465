"""A file of profiles, as an export from a warehouse has them: one a line."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson

from producer.sandbox import SpaceSpec, profiles


def write(path: Path, count: int) -> Path:
    """Writes so many profiles of ten traits to `path`, compressed if it ends in `.gz`."""
    lines = b"".join(
        orjson.dumps({"id": f"use_{number}", **entry}) + b"\n"  # type: ignore[dict-item]
        for number, entry in enumerate(profiles(SpaceSpec(count, "wide")))
    )
    path.write_bytes(gzip.compress(lines, 6) if path.suffix == ".gz" else lines)
    return path
