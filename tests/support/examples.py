"""How many examples Hypothesis tries: few in each run, many with HYPOTHESIS_PROFILE=thorough (`make thorough`).

What many examples have once found is also kept as an explicit `@example`, so the few lose nothing that is known.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"


def load_profile() -> None:
    """Sets what holds for every test: the time that an example takes depends on the machine, and is not limited."""
    settings.register_profile(
        "suite",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
        max_examples=500 if THOROUGH else 50,
    )
    settings.load_profile("suite")


def examples(few: int, *, thorough: int) -> settings:
    """Settings for a test: the number of examples in each run, and in a thorough one."""
    return settings(max_examples=thorough if THOROUGH else few)
