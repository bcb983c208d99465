"""dlt's `RESTClient` with its cursor paginator, and the recipe's clustering. dlt is installed by `make bench` only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import JSONResponseCursorPaginator

from tests.bench.rivals import loop_process
from tests.bench.testbed import TOKEN


def pages(segment_url: str, space_id: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a space as the client gives them. Raises whatever dlt does."""
    client = RESTClient(
        segment_url,
        auth=BearerTokenAuth(TOKEN),
        paginator=JSONResponseCursorPaginator(cursor_path="data.cursor.next", cursor_param="cursor"),
        data_selector="data.profiles",
    )
    path = f"/spaces/{space_id}/collections/users/profiles"
    yield from client.paginate(path, params={"limit": 200, "include": "traits"})


if __name__ == "__main__":
    loop_process.report(pages)
