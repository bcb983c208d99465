"""A file of profiles, and how many of its lines are counted."""

from __future__ import annotations

import json

from worker.segment.export_file import open_any_file
from worker.segment.export_file.ndjson_file import FilePosition, NdjsonFile

PROFILES = [{"id": f"use_{i}", "traits": {"ltv": i, "plan": "pro"}} for i in range(60)]
NDJSON = "".join(json.dumps(profile) + "\n" for profile in PROFILES)


def count_entries(name: str, place: FilePosition | None = None) -> tuple[int, int]:
    """How many entries and merged rows follow."""
    opened = NdjsonFile(name, open_any_file, place)
    entries = merged = 0
    try:
        while True:
            page = opened.page(place)
            entries, merged = entries + len(page.entries), merged + page.merged
            if (place := page.following) is None:
                return entries, merged
    finally:
        opened.close()
