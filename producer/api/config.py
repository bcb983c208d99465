"""Configuration of the server: its address, its tokens and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from worker.errors import ConfigurationError


@dataclass(frozen=True)
class ApiLimits:
    """Bounds that keep one client from using up the server.

    Attributes:
        body_bytes: Largest body of a request.
        body_s: Seconds in which a body must arrive.
        request_s: Seconds in which a request is answered; of an event stream, in which a client takes one event.
        connection_s: Seconds in which a new connection must send a request, and a connection may be idle.
        streams: Event streams at a time.
        wrong_tokens: Wrong bearer tokens a minute from one address.
        look_s: Seconds between two checks of the syncs that are streamed.
        heartbeat_s: Seconds between two comments of a stream without news.
        stop_s: Seconds that a stopping server gives its requests.
    """

    body_bytes: int = 256 * 1024
    body_s: float = 10.0
    request_s: float = 30.0
    connection_s: float = 75.0
    streams: int = 200
    wrong_tokens: int = 10
    look_s: float = 0.5
    heartbeat_s: float = 15.0
    stop_s: float = 8.0


@dataclass(frozen=True)
class ApiConfig:
    """The address of a server, and its access.

    Attributes:
        host: Address to listen on.
        port: Port; 0: any free one.
        tokens_file: File of bearer tokens; None: no token is needed, and only this machine may connect.
        limits: Its bounds.
        reads_files: As of `RequestDefaults`.

    Raises:
        ConfigurationError: Without tokens, `host` is not this machine only.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tokens_file: Path | None = None
    limits: ApiLimits = field(default_factory=ApiLimits)
    reads_files: bool = True

    def __post_init__(self) -> None:
        if self.tokens_file is None and not is_loopback(self.host):
            raise ConfigurationError(
                f"--host {self.host}: without tokens the API is served to this machine only.",
                hint="Set API_TOKENS_FILE to a file of tokens, or use --host 127.0.0.1.",
            )


def is_loopback(host: str) -> bool:
    """Returns whether a host name or address can only be reached from this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"
