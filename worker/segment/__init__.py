"""The source: Segment spaces, read page by page, in one of two dialects."""

from worker.segment.dialect_detection import AutoSource, DialectMemory, NoMemory
from worker.segment.inline_api import InlineApi
from worker.segment.listing import fetch_certain_page
from worker.segment.page import Page
from worker.segment.profile_api import ProfileApi
from worker.segment.sampling import SampledSource
from worker.segment.source import Call, Entries, Source
from worker.segment.traits_caller import repeated

__all__ = [
    "AutoSource",
    "Call",
    "DialectMemory",
    "Entries",
    "InlineApi",
    "NoMemory",
    "Page",
    "ProfileApi",
    "SampledSource",
    "Source",
    "fetch_certain_page",
    "repeated",
]
