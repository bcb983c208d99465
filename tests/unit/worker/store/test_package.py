"""The package's names."""

from __future__ import annotations

import pytest

from worker import store


def test_every_public_name_of_the_package_can_be_used() -> None:
    assert all(getattr(store, name).__name__ == name for name in store.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_here"):
        _ = store.nothing_here
