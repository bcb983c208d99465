"""The source: Segment spaces, read page by page. The client knows HTTP; a dialect knows what a page looks like."""

from worker.segment.client import SegmentClient
from worker.segment.dialect import Page

__all__ = ["Page", "SegmentClient"]
