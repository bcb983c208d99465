"""Detects the dialect of a space: requests its first page in each dialect once, and remembers which one answers.

A dialect has its usual scheme of authorization: Bearer for `inline`, Basic for `profile-api`. If no dialect answers,
each that refused the token (401, 403) is asked once more with the other scheme.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from worker.errors import ApiError, Permanent, ResumableStop, Retry
from worker.segment.page import OTHER_SHAPE, Page
from worker.segment.source import Call, FetchedProfiles, Source
from worker.settings import FixedDialect

_OTHER_SCHEME = {"segment_unauthorized", "segment_forbidden"}
"""Failures that may mean that the API expects the token in the other scheme."""

_OTHER_SCHEME_MARK = ", other scheme"

_OTHER_DIALECT = {
    "segment_unauthorized",
    "segment_forbidden",
    "segment_not_found",
    "segment_bad_request",
    "segment_error",
}
"""Failures that may mean that the API has the other dialect."""

CHECK_ORDER = (
    "Check in this order: the dialect (SEGMENT_DIALECT), the region (SEGMENT_REGION), the kind of token, and that "
    "the token belongs to this space. Then check that the workspace has Unify (Business tier)."
)


def _may_be_other_dialect(error: ApiError) -> bool:
    """Returns whether a failure may mean that the API has the other dialect: a refusal, or JSON of another shape."""
    return error.code in _OTHER_DIALECT or (error.code == "segment_bad_body" and OTHER_SHAPE in str(error))


@dataclass(frozen=True)
class DialectVariant:
    """A dialect with a scheme of authorization.

    Attributes:
        dialect: Dialect of the requests.
        other_scheme: Whether the token is sent in the scheme of the other dialect.
    """

    dialect: FixedDialect
    other_scheme: bool = False

    def __str__(self) -> str:
        return f"{self.dialect}{_OTHER_SCHEME_MARK if self.other_scheme else ''}"


class DialectMemory(Protocol):
    """Stores the variant that answers for one space, as text."""

    async def find_dialect(self) -> str | None:
        """Returns the variant that answered before; None if none did."""

    async def store_dialect(self, variant: str) -> None:
        """Stores the variant that answered."""


class NoDialectMemory:
    """The memory of a process that needs none, because it reads only once."""

    async def find_dialect(self) -> str | None:
        """Returns None."""
        return None

    async def store_dialect(self, variant: str) -> None:
        """Does nothing."""


class AutoSource:
    """A space in the dialect that answers for it.

    Args:
        variants: The space in each dialect with its usual scheme, in the order in which they are asked; then,
            optionally, in each dialect with the other scheme.
        urls: Base URL of each dialect, for messages.
        memory: Stores the variant that answers.

    Attributes:
        variant: The variant that answers; None until it is known.
        refused: Why each of the other dialects was not chosen.
    """

    def __init__(
        self, variants: Mapping[DialectVariant, Source], urls: Mapping[FixedDialect, str], memory: DialectMemory
    ) -> None:
        self._variants = variants
        self._urls = urls
        self._memory = memory
        self.variant: DialectVariant | None = None
        self.refused: dict[FixedDialect, ApiError] = {}

    @property
    def dialect(self) -> FixedDialect | None:
        """The chosen dialect; None until it is known."""
        return self.variant.dialect if self.variant else None

    @property
    def concurrent_pages(self) -> int:
        """Number of pages that may be fetched at a time: of the chosen dialect, or of the first one before that."""
        source = self._variants[self.variant] if self.variant else next(iter(self._variants.values()))
        return source.concurrent_pages

    async def fetch_page(self, cursor: str, number: int, before: int | None = None) -> Page:
        """Fetches one page, as `Source.fetch_page`, in the dialect that answers.

        If the remembered dialect is refused at the first page of a listing, each dialect is tried once again.

        Raises:
            ApiError: The page could not be read. If no dialect answers, the message has the answer of each.
        """
        if self.variant is None and (known := await self._known()) is not None:
            try:
                found = await self._variants[known].fetch_page(cursor, number, before)
            except ApiError as error:
                if cursor or not _may_be_other_dialect(error):
                    raise
            else:
                self.variant = known
                return found
        if self.variant is None:
            variant, first = await self._try_each()
            await self._memory.store_dialect(str(variant))
            self.variant = variant
            if not cursor:
                return first
        return await self._variants[self.variant].fetch_page(cursor, number, before)

    async def fetch_traits(self, page: Page, number: int, call: Call) -> FetchedProfiles:
        """Fetches the traits of a page's profiles, as `Source.fetch_traits`."""
        assert self.variant
        return await self._variants[self.variant].fetch_traits(page, number, call)

    async def _known(self) -> DialectVariant | None:
        """Returns the variant that answered before; None if none did."""
        text = await self._memory.find_dialect()
        return next((variant for variant in self._variants if str(variant) == text), None)

    async def _try_each(self) -> tuple[DialectVariant, Page]:
        """Returns the first variant that answers, and the first page in it. Raises ApiError if none does."""
        self.refused = {}
        for variant, source in self._variants.items():
            before = self.refused.get(variant.dialect)
            if variant.other_scheme and (before is None or before.code not in _OTHER_SCHEME):
                continue
            try:
                return variant, await source.fetch_page("", 1, 0)
            except ApiError as error:
                if not _may_be_other_dialect(error) and (isinstance(error, Retry) or self._one_url):
                    raise
                # The error of the usual scheme says more about the cause.
                self.refused.setdefault(variant.dialect, error)
        raise self._combined_error()

    @property
    def _one_url(self) -> bool:
        return len(set(self._urls.values())) == 1

    def _combined_error(self) -> ApiError:
        """Returns one error with the answers of all dialects."""
        (_, first), *others = self.refused.items()
        errors = list(self.refused.values())
        transient = next((error for error in errors if isinstance(error, Retry)), None)
        if transient and all(isinstance(error, Retry) for error in errors):
            return transient
        other = errors[-1]
        telling = first if self._one_url or first.code != "segment_not_found" else other
        said = "; ".join(
            f"asked as {dialect} at {self._urls[dialect]}: {'the same' if str(error) == str(first) else error}"
            for dialect, error in others
        )
        message = f"{first}; {said}"
        is_permanent = isinstance(first, Permanent) if self._one_url else all(isinstance(e, Permanent) for e in errors)
        kind = Permanent if is_permanent else ResumableStop
        return kind(telling.code, message, hint=f"{first.hint} {CHECK_ORDER}".strip())
