"""README and docs/ describe the program as it is: tables, links and examples are compared with the code."""

from __future__ import annotations

import re

import pytest

from tests.support.project.docs import PAGES, ROOT, anchors, code_blocks, page, relative_links, table
from worker.clusters.rules.toml_file import parse_rules
from worker.settings import Settings
from worker.spaces.spaces_file import Fallbacks, parse_spaces

TESTS = {
    name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)\(", path.read_text())
}


def test_the_readme_fits_in_150_lines() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150


def test_the_readme_links_to_every_page() -> None:
    linked = set(relative_links(PAGES["README.md"]))
    assert {name for name in PAGES if name != "README.md"} <= linked


def test_the_settings_table_is_the_settings_model() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*)`)? ?\| (.*) \|$", page("settings"), re.MULTILINE)
    expected = []
    for name, field in Settings.model_fields.items():
        default = field.default
        text = "" if default is None else f"{default:g}" if isinstance(default, int | float) else str(default)
        expected.append((name.upper(), text, field.description))
    assert sorted(rows) == sorted(expected)


def test_a_test_that_a_page_names_exists() -> None:
    named = {name for text in PAGES.values() for name in re.findall(r"`(test_\w+)`", text)}
    assert len(named) > 50
    assert named - set(TESTS) == set()


def test_a_relative_link_leads_to_a_file_and_its_anchor_to_a_heading() -> None:
    for name, link in sorted({(name, link) for name, text in PAGES.items() for link in relative_links(text)}):
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), (name, link)
        assert not anchor or anchor in anchors(target.read_text()), (name, link)


@pytest.mark.parametrize("text", [block for text in PAGES.values() for block in code_blocks(text, "toml")])
def test_a_toml_file_that_a_page_shows_is_well_formed(text: str) -> None:
    if "[spaces." in text:
        assert parse_spaces(text, lambda file: f"duckdb:///secret-of-{file}", Fallbacks()).accounts
    else:
        assert parse_rules(text).clusters


EVIDENCE = [
    "case 429",
    "case 402",
    "retry",
    "rate limit",
    "cursor",
    "cursor_loop",
    '"update"',
    "Plan(",
    "A completed preview continues",
    "POST",
    "def resolve",
    "insufficient_credits",
    "checkpoint",
    "Takes the lease",
    "takes the job that is due longest",
    "def hand_over",
    "notices when the epoch is over",
    "revive",
    "tick",
    "sentence",
    "def format_amount",
    "needs_restart",
    "segment_rate",
    "def build_fetch_job",
    "def after_failure",
    "Ctrl-C",
    "confirmation_question",
    "class _ClusterTable",
    "sp:sync:{id}",
    "PEXPIRE",
    "eviction",
    "def redis_run",
    "[[clusters]]",
    "def _classify",
    "def parse",
    "Its id is kept before anyone waits for it",
    "in one scan",
    "guard_profiles",
    "EXIT_CODES",
    "PROBLEMS",
    "text/event-stream",
    "webhook-signature",
    "showSync",
    "credits_charged",
]


def test_a_file_of_where_to_find_it_answers_the_question() -> None:
    for row, fragment in zip(table(PAGES["CONTRIBUTING.md"], "| question | file |"), EVIDENCE, strict=True):
        (path,) = re.findall(r"\]\((.+?)\)", row[1])
        assert fragment.lower() in (ROOT / path).read_text().lower(), row


def test_a_path_in_the_guide_for_contributors_exists() -> None:
    named = set(re.findall(r"`((?:worker|producer|tests|docs)/[\w/.]+)`", PAGES["CONTRIBUTING.md"]))
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


GLOSSARY = [row[0] for row in table(page("glossary"), "| term | meaning |")]

REPLACED_WORDS = re.compile(
    r"\b(walks?|watcher|signs? of life|tickets?|whoever|somebody else|in the place of|is told|stands for|so it is)\b",
    re.I,
)


def test_a_page_uses_the_terms_of_the_glossary() -> None:
    assert {name: found for name, text in PAGES.items() if (found := REPLACED_WORDS.findall(text))} == {}


def test_the_glossary_is_short_and_defines_each_term_once() -> None:
    assert 20 <= len(GLOSSARY) == len(set(GLOSSARY)) <= 30


@pytest.mark.parametrize("term", GLOSSARY)
def test_a_term_of_the_glossary_is_used_on_several_pages(term: str) -> None:
    form = re.compile(rf"\b{re.escape(term)}(s|es)?\b", re.I)
    assert sum(bool(form.search(text)) for name, text in PAGES.items() if name != "docs/glossary.md") >= 2


def test_a_page_that_a_message_names_exists() -> None:
    sources = (path for package in ("producer", "worker") for path in (ROOT / package).rglob("*.py"))
    named = {page for path in sources for page in re.findall(r"\bdocs/[\w-]+\.md", path.read_text())}
    assert named
    assert named <= PAGES.keys()


def test_a_make_target_that_a_page_names_exists() -> None:
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    shown = "\n".join(block for text in PAGES.values() for block in code_blocks(text, "sh"))
    named = set(re.findall(r"^make (\w+)", shown, re.MULTILINE))
    named |= {target for text in PAGES.values() for target in re.findall(r"`make (\w+)", text)}
    assert {"demo", "test"} <= named <= set(targets.split())
