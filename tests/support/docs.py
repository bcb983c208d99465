"""The documentation as tests read it: every page with its text, its links, and the anchors of its headings."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TOP_PAGES = sorted(ROOT.glob("*.md"))
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in (*TOP_PAGES, *sorted(ROOT.glob("docs/*.md")))}


def page(name: str) -> str:
    """The text of `docs/<name>.md`."""
    return PAGES[f"docs/{name}.md"]


def without_code(text: str) -> str:
    """The text without its code blocks and spans, in which `[a](b)` and `#` mean something else."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def relative_links(text: str) -> list[str]:
    """Every link and image of a page that does not name a host."""
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchor of every heading, as GitHub derives it."""
    headings = re.findall(r"^#+ +(.+?)\s*$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_blocks(text: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
