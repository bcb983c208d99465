"""The tables of metrics in the documentation name the metrics that there are."""

from __future__ import annotations

import re

from tests.support.project.docs import page
from tests.support.project.metrics import Described, all_metrics


async def test_the_tables_of_metrics_are_what_is_served() -> None:
    rows = re.findall(r"^\| `(segment_personas_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page("metrics"), re.MULTILINE)
    shown = {
        name: Described(kind, tuple(sorted(re.findall(r"`(\w+)`", labels))), text) for name, kind, labels, text in rows
    }
    assert shown == await all_metrics()
    assert len(rows) == len(shown)
