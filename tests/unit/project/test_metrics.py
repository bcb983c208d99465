"""The tables of metrics, the alert rules and the dashboard name the metrics that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.project.docs import ROOT, page
from tests.support.project.metrics import Described, all_metrics


async def test_the_tables_of_metrics_are_what_is_served() -> None:
    rows = re.findall(r"^\| `(segment_personas_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", page("metrics"), re.MULTILINE)
    shown = {
        name: Described(kind, tuple(sorted(re.findall(r"`(\w+)`", labels))), text) for name, kind, labels, text in rows
    }
    assert shown == await all_metrics()
    assert len(rows) == len(shown)


RULES: list[dict[str, Any]] = YAML(typ="safe").load(ROOT / "deploy/prometheus/alerts.yml")["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel.get("targets", ())]


def names_in(query: str) -> set[str]:
    """The metrics of a query; those of a histogram without their suffix."""
    found = re.findall(r"segment_personas_\w+", query)
    return {re.sub(r"_seconds_(bucket|sum|count)$", "_seconds", name) for name in found}


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in RULES), *QUERIES])
async def test_a_query_names_metrics_and_labels_that_there_are(query: str) -> None:
    metrics = await all_metrics()
    assert names_in(query) <= set(metrics)
    for name, matchers in re.findall(r"(segment_personas_\w+)\{(.*?)\}", query):
        (metric,) = names_in(name)
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= set(metrics[metric].labels)
    grouped = {label for labels in re.findall(r"by \(([\w, ]+)\)", query) for label in labels.split(", ")}
    assert grouped <= {"le", "instance", *(label for name in names_in(query) for label in metrics[name].labels)}


def test_every_alert_says_what_to_do_and_is_in_the_table() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "action"}
    names = [rule["alert"] for rule in RULES]
    assert sorted(names) == sorted(re.findall(r"`(SegmentPersonas\w+)`", page("metrics")))


async def test_the_dashboard_shows_every_metric_and_no_panel_covers_another() -> None:
    assert {name for query in QUERIES for name in names_in(query)} == set(await all_metrics())
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in PANELS)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
