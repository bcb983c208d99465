"""The results as a drawing for docs/performance-and-scaling.md: one bar a row, with its spread. Pure.

Bars begin at nought, so that their lengths are to each other as what they stand for. A goal is a dashed line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.figure import Plot
from tests.bench.report import goal_cell, number
from tests.bench.results import FigureResult, Row, Spread

WIDTH = 960
_LABELS, _BARS = 330, 360
_LEFT = _LABELS + 14
_TITLE, _ROW, _BAR, _GAP = 34, 24, 14, 18
_OURS, _THEIRS, _INK, _FAINT = "#2463eb", "#9aa5b1", "#1f2933", "#616e7c"


def svg(results: Sequence[FigureResult], caption: str) -> str:
    """All figures that say what of them is to be drawn, one below the other."""
    parts: list[str] = []
    top = _GAP
    for result in results:
        if result.plot is not None:
            parts += _panel(result, result.plot, top)
            top += _TITLE + _ROW * len(result.plot.rows) + _GAP
    parts.append(_text(_GAP, top + 4, caption, size=11, colour=_FAINT))
    height = top + _GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    style = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img"'
    ground = f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>'
    return "\n".join([f"{head} {style}>", ground, *parts, "</svg>"]) + "\n"


def _panel(result: FigureResult, plot: Plot, top: int) -> Iterator[str]:
    rows = {row.label: row for row in result.rows}
    drawn = [rows[label] for label in plot.rows]
    goals = [row.goal.bound for row in drawn if row.goal and row.goal.of == plot.of]
    scale = _BARS / max([_spread(row, plot).most for row in drawn] + goals)
    yield _text(_GAP, top + 14, result.title, weight="bold", size=14)
    for position, row in enumerate(drawn):
        yield from _bar(row, plot, top + _TITLE + position * _ROW, scale)


def _bar(row: Row, plot: Plot, top: int, scale: float) -> Iterator[str]:
    spread, middle = _spread(row, plot), top + _BAR / 2
    colour = _OURS if row.label in plot.ours else _THEIRS
    yield _text(_LABELS, top + 12, row.label, anchor="end")
    yield _rectangle(_LEFT, top, spread.median * scale, _BAR, colour)
    least, most = _LEFT + spread.least * scale, _LEFT + spread.most * scale
    yield _line(least, middle, most, middle)
    yield from (_line(end, middle - 3, end, middle + 3) for end in (least, most))
    said = number(spread.median) + (" ×" if plot.of == "ratio" else f" {row.unit}")
    end = most
    if row.goal and row.goal.of == plot.of:
        at = _LEFT + row.goal.bound * scale
        yield _line(at, top - 4, at, top + _BAR + 4, dashed=True)
        said += f", goal {goal_cell(row.goal)}"
        end = max(end, at)
    yield _text(end + 8, top + 12, said, size=12)


def _spread(row: Row, plot: Plot) -> Spread:
    return Spread.of(row.ratios if plot.of == "ratio" else row.values)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 13, weight: str = "normal", colour: str = _INK
) -> str:
    look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="3 2"' if dashed else ""
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{_INK}" stroke-width="1"{dashes}/>'
