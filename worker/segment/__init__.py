"""The source of profiles: Segment spaces in one of two dialects, or export files, read page by page.

The names are imported on first use: a command that only checks a file name need not wait for the HTTP client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.lazy_names import import_on_use

if TYPE_CHECKING:
    from worker.segment.dialect_detection import AutoSource, DialectMemory, DialectVariant, NoDialectMemory
    from worker.segment.inline_api import InlineApi
    from worker.segment.page import Page
    from worker.segment.profile_api import ProfileApi
    from worker.segment.sampling import SampledSource
    from worker.segment.source import Call, FetchedProfiles, Source, fetch_certain_page
    from worker.segment.traits_caller import retry_transient

__all__ = [
    "AutoSource",
    "Call",
    "DialectMemory",
    "DialectVariant",
    "FetchedProfiles",
    "InlineApi",
    "NoDialectMemory",
    "Page",
    "ProfileApi",
    "SampledSource",
    "Source",
    "fetch_certain_page",
    "retry_transient",
]

__getattr__ = import_on_use(
    __name__,
    {
        "dialect_detection": "AutoSource DialectMemory DialectVariant NoDialectMemory",
        "inline_api": "InlineApi",
        "page": "Page",
        "profile_api": "ProfileApi",
        "sampling": "SampledSource",
        "source": "Call FetchedProfiles Source fetch_certain_page",
        "traits_caller": "retry_transient",
    },
)
