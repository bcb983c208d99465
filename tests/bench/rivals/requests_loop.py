"""The plain loop: `requests` with a session, page after page, and the recipe's clustering."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import requests

from tests.bench.rivals import loop_process
from tests.bench.testbed import TOKEN


def pages(segment_url: str, space_id: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a space, one request after the other. Raises whatever `requests` does."""
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        params = {"limit": "200", "include": "traits"}
        while True:
            reply = session.get(
                f"{segment_url}/spaces/{space_id}/collections/users/profiles", params=params, timeout=30
            )
            reply.raise_for_status()
            data = reply.json()["data"]
            yield data["profiles"]
            if not data["cursor"].get("next"):
                return
            params["cursor"] = data["cursor"]["next"]


if __name__ == "__main__":
    loop_process.report(pages)
