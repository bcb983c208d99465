"""The figures, one a file. Every module here has a `FIGURE`."""

from __future__ import annotations

import importlib
import pkgutil

from tests.bench.figure import Figure


def all_figures() -> list[Figure]:
    """Every figure, by name."""
    found: list[Figure] = []
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        if not module.ispkg:
            found.append(importlib.import_module(module.name).FIGURE)
    return sorted(found, key=lambda figure: figure.name)
