"""The source of profiles: Segment spaces in one of two dialects, or export files, read page by page."""

from worker.segment.dialect_detection import AutoSource, DialectMemory, DialectVariant, NoDialectMemory
from worker.segment.inline_api import InlineApi
from worker.segment.pagination import Page
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
