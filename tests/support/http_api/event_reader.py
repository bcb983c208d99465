"""Reads server-sent events as a browser does (HTML Living Standard, 9.2.6)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True)
class ServerEvent:
    """An event. comment: of a comment its text; then the rest is empty."""

    id: str = ""
    name: str = ""
    data: str = ""
    comment: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def read_events(stream: bytes) -> list[ServerEvent]:
    """The events of a stream that has ended."""
    return [event for block in stream.decode().split("\n\n") if (event := _read(block)) and not event.comment]


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[ServerEvent]:
    """The events and comments of a stream as they come, until it ends."""
    buffer = b""
    async for chunk in response.content.iter_any():
        buffer += chunk
        while b"\n\n" in buffer:
            block, buffer = buffer.split(b"\n\n", 1)
            if event := _read(block.decode()):
                yield event


def _read(block: str) -> ServerEvent | None:
    fields: dict[str, list[str]] = {}
    for line in re.split(r"\r\n|\n|\r", block):
        name, _, value = line.partition(":")
        fields.setdefault(name, []).append(value.removeprefix(" "))
    if "data" in fields:
        return ServerEvent(fields.get("id", [""])[-1], fields.get("event", [""])[-1], "\n".join(fields["data"]))
    return ServerEvent(comment="\n".join(fields[""])) if any(fields.get("", ())) else None
