"""The server of a state directory for the length of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from producer.state.directory import StateDirectory
from producer.state.server import StateServer


@contextlib.contextmanager
def state_server(directory: StateDirectory) -> Iterator[StateServer]:
    """The server of a directory, for the block. Raises StateUnusable."""
    server = StateServer(directory)
    server.join()
    try:
        yield server
    finally:
        server.leave()
