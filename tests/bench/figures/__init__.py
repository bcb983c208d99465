"""The figures, one a file. A module here with a `FIGURE` is a figure."""

from __future__ import annotations

import importlib
import pkgutil

from tests.bench.figure import Figure


def all_figures() -> list[Figure]:
    """Every figure, by name."""
    found: list[Figure] = []
    for module in pkgutil.iter_modules(__path__):
        found.append(importlib.import_module(f"{__name__}.{module.name}").FIGURE)
    return sorted(found, key=lambda figure: figure.name)
