"""Ports of one's own. Whoever looks for a free port and uses it later may find somebody else there: another test, or
either end of any connection.

So a port is bound here until the process ends: the kernel gives it to no process that asks for any port. A process
that asks for this very port with SO_REUSEADDR, as every server does, still gets it, for nothing listens here; and while
nothing does, a connection to it is refused.
"""

from __future__ import annotations

import socket


def port_of_ones_own() -> int:
    """Returns a port of 127.0.0.1 at which no other process listens."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port = int(holder.getsockname()[1])
    holder.detach()  # stays open until the process ends
    return port
