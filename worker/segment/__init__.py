"""The source of profiles: Segment spaces in one of two dialects, or export files, read page by page."""

from worker.segment.dialect_detection import AutoSource, DialectMemory, NoMemory, Way
from worker.segment.inline_api import InlineApi
from worker.segment.pagination import Page
from worker.segment.profile_api import ProfileApi
from worker.segment.sampling import SampledSource
from worker.segment.source import Call, FetchedProfiles, Source, fetch_certain_page
from worker.segment.traits_caller import repeated

__all__ = [
    "AutoSource",
    "Call",
    "DialectMemory",
    "FetchedProfiles",
    "InlineApi",
    "NoMemory",
    "Page",
    "ProfileApi",
    "SampledSource",
    "Source",
    "Way",
    "fetch_certain_page",
    "repeated",
]
