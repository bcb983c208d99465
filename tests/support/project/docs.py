"""The documentation as tests read it: every page with its text, its links, and the anchors of its headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
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


def shell_commands(text: str) -> list[list[str]]:
    """Every `segment-personas` command line of a page's shell blocks: the words after the program's name."""
    found = []
    for block in code_blocks(text, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True) if line.count('"') % 2 == 0 and line.count("'") % 2 == 0 else []
            found += list(_commands(words))
    return found


def _commands(words: list[str]) -> Iterator[list[str]]:
    for number, word in enumerate(words):
        in_image = words[:1] == ["docker"] and "run" in words[:number]
        if word.rsplit("/", 1)[-1] != "segment-personas" and not (in_image and word == "worker"):
            continue
        arguments = words[number + 1 :]
        end = next((at for at, argument in enumerate(arguments) if argument in {"|", ">", ">>", "&", "&&", ";"}), None)
        yield arguments[:end]


def code_spans(text: str) -> list[str]:
    """Every inline code span of a page."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def table(text: str, header: str) -> list[list[str]]:
    """The rows of the table whose first line is `header`: each a list of cells."""
    lines = text.splitlines()
    rows = []
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows
