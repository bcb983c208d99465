"""The results as a table for a terminal, as Markdown and as JSON. Pure but for looking at the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.bench.figure import Goal
from tests.bench.results import FigureResult, Row, Spread

_LIBRARIES = ("aiohttp", "arq", "orjson", "redis", "requests")
_HEADINGS = ("", "median", "min", "max", "unit", "ratio (min to max)", "to", "goal", "")


def number(value: float) -> str:
    """Four significant digits, none in vain, thousands set apart."""
    if abs(value) >= 999.95:
        return f"{value:,.0f}"
    text = f"{value:.4g}"
    return text if "e" not in text else f"{value:.4f}".rstrip("0").rstrip(".") or "0"


def ratio_cell(spread: Spread | None) -> str:
    """A ratio with its spread; empty if there is none."""
    if spread is None:
        return ""
    return f"{number(spread.median)} × ({number(spread.least)} to {number(spread.most)})"


def goal_cell(goal: Goal | None) -> str:
    """What was promised; empty if nothing was."""
    if goal is None:
        return ""
    return f"{'≤' if goal.at == 'most' else '≥'} {number(goal.bound)}{' ×' if goal.of == 'ratio' else ''}"


def cells(row: Row) -> list[str]:
    """One row as text, in the order of the headings."""
    spread = row.value
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return [
        row.label,
        *(number(value) for value in (spread.median, spread.least, spread.most)),
        row.unit,
        ratio_cell(row.ratio),
        row.against,
        goal_cell(row.goal),
        verdict,
    ]


def table(result: FigureResult) -> Table:
    """One figure for a terminal."""
    made = Table(title=result.title, title_justify="left", title_style="bold", expand=False)
    for position, heading in enumerate(_HEADINGS):
        made.add_column(heading, justify="right" if position in {1, 2, 3} else "left", overflow="fold")
    for row in result.rows:
        made.add_row(*cells(row), style="red" if row.met is False else "")
    return made


def markdown(results: Sequence[FigureResult], runs: int) -> str:
    """All figures as one Markdown table."""
    lines = [
        facts(runs),
        "",
        "| " + " | ".join(_HEADINGS) + " |",
        "|---" * len(_HEADINGS) + "|",
    ]
    for result in results:
        lines.append(f"| **{result.title}**" + " |" * len(_HEADINGS))
        lines += ["| " + " | ".join(cells(row)) + " |" for row in result.rows]
    return "\n".join(lines) + "\n"


def facts(runs: int) -> str:
    """The text over every table and under every drawing."""
    machine = machine_facts()
    where = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"
    return (
        f"Median, minimum and maximum of {runs} {'run' if runs == 1 else 'runs'}; {where}. A ratio is within one run."
    )


def document(results: Sequence[FigureResult], runs: int) -> dict[str, Any]:
    """Everything that was measured, every run of it, with what it was measured on."""
    return {
        "runs": runs,
        "machine": machine_facts(),
        "figures": [
            {"name": result.name, "title": result.title, "rows": [_row_json(row) for row in result.rows]}
            for result in results
        ],
    }


def _row_json(row: Row) -> dict[str, Any]:
    goal = row.goal
    return {
        "label": row.label,
        "unit": row.unit,
        "value": _spread_json(row.value),
        "values": list(row.values),
        "ratio": _spread_json(row.ratio) if row.ratio else None,
        "ratios": list(row.ratios),
        "against": row.against,
        "goal": {"of": goal.of, "at": goal.at, "bound": goal.bound, "met": row.met} if goal else None,
    }


def _spread_json(spread: Spread) -> dict[str, float]:
    return {"median": spread.median, "min": spread.least, "max": spread.most}


def machine_facts() -> dict[str, Any]:
    """What a figure depends on; nothing that names the machine."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "python": platform.python_version(),
        **{library: version(library) for library in _LIBRARIES},
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
