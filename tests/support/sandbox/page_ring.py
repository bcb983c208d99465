"""Pages of the `inline` dialect from a ring that is built before serving; only the cursor of a page is new."""

from __future__ import annotations

from producer.sandbox.options import SandboxOptions
from producer.sandbox.segment.inline_api import InlineApi
from producer.sandbox.segment.pages import encode_profiles
from producer.sandbox.spaces.space import SpaceSpec

RING_PAGES = 50


class RingApi(InlineApi):
    """Builds the pages of every configured space in the server's own page size before serving, and others at their
    first request."""

    def __init__(self, options: SandboxOptions) -> None:
        super().__init__(options)
        self._rings: dict[tuple[SpaceSpec, int, bool], PageRing] = {}
        for spec in {*options.spaces.values(), options.default_space or SpaceSpec(0)}:
            self._ring(spec, options.page_size, True)
            self._ring(spec, options.page_size, False)

    def encode_profiles(self, spec: SpaceSpec, limit: int, start: int, count: int, traits: bool) -> bytes:
        """Returns the profiles of a page from its ring."""
        return self._ring(spec, limit, traits).encode_profiles(start, count)

    def _ring(self, spec: SpaceSpec, limit: int, traits: bool) -> PageRing:
        key = (spec, limit, traits)
        ring = self._rings.get(key)
        if ring is None:
            ring = self._rings[key] = PageRing(spec, limit, traits)
        return ring


class PageRing:
    """The built pages of one space, page size and choice of traits: at most 50 full ones and the last."""

    def __init__(self, spec: SpaceSpec, page_size: int, traits: bool) -> None:
        self._spec, self._size, self._traits = spec, page_size, traits
        full, rest = divmod(spec.profiles, page_size)
        pages = min(full, 3 if spec.kind == "recipe" else RING_PAGES)
        self._full = [self._build(page * page_size, page_size) for page in range(pages)]
        self._last = self._build(full * page_size, rest)

    def encode_profiles(self, start: int, count: int) -> bytes:
        """Encodes the `count` entries from `start`: a page's size, or those up to the end of the space."""
        if start % self._size == 0:
            full = count == self._size
            return self._full[start // self._size % len(self._full)] if full else self._last
        return self._build(start, count)

    def _build(self, start: int, count: int) -> bytes:
        indexes = [ring_index(self._spec, self._size, index) for index in range(start, start + count)]
        return encode_profiles(self._spec, indexes, self._traits)


def ring_index(spec: SpaceSpec, page_size: int, index: int) -> int:
    """Returns which entry of the space is served at `index`: content repeats after 50 pages (`recipe`: after 3, which
    its period of three makes exact)."""
    page, offset = divmod(index, page_size)
    return page % (3 if spec.kind == "recipe" else RING_PAGES) * page_size + offset
