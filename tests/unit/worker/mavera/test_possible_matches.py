"""Which rows may be a persona whose reference the list does not show: absence is never concluded without evidence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from worker.mavera import Persona, Reference
from worker.mavera.possible_matches import (
    WantedPersona,
    find_possible_matches,
    is_shown_whole,
    matches_beginning,
    visible_reference,
)

OURS = Reference("0123456789", "00000001")
SIBLING = Reference("0123456789", "00000002")
FOREIGN = Reference("abcdef0123", "00000001")
TEXT = "High Value segment from Segment computed traits. N=20. Avg LTV: $1200. Avg purchases: 8.0. Plans: pro."
WANTED = WantedPersona(OURS, "Segment CDP: High Value", f"{TEXT} {OURS}")


def row(persona_id: str = "per_1", **fields: Any) -> Persona:
    values: dict[str, Any] = {"name": WANTED.name, "is_custom": True, "created_at": "2026-01-01", **fields}
    return Persona(id=persona_id, **values)


def ids(*rows: Persona, **options: Any) -> list[str]:
    return [one.id for one in find_possible_matches(rows, WANTED, options.pop("known", ()), **options)]


@pytest.mark.parametrize(
    "description", [None, "", TEXT, TEXT[:60], TEXT[:60] + "…", f"{TEXT[:60]} ...", f"{FOREIGN} …"]
)
def test_a_row_of_the_same_name_without_its_reference_is_possible(description: str | None) -> None:
    assert ids(row(description=description)) == ["per_1"]
    assert ids(row(description=description), known={"per_1"}) == []
    assert ids(row(description=description, is_custom=False)) == []
    assert ids(row(description=description, is_custom=None)) == ["per_1"]


@pytest.mark.parametrize("name", ["segment cdp:  high value", "Segment CDP: Hi…", "Segment CDP: High V...", None])
def test_a_name_is_the_same_though_it_is_written_otherwise_or_cut(name: str | None) -> None:
    assert ids(row(description="", name=name)) == ["per_1"]


def test_a_row_that_begins_like_ours_is_possible_under_any_name() -> None:
    assert ids(row(name="Renamed by hand", description=TEXT[:60])) == ["per_1"]
    assert ids(row(name="Renamed by hand", description="Our best customers")) == []


def test_a_row_with_another_reference_is_not_ours() -> None:
    for reference in (SIBLING, FOREIGN):
        assert ids(row(description=f"{TEXT} {reference}")) == []


def test_a_reference_that_is_quoted_within_a_text_proves_nothing() -> None:
    assert ids(row(description=f"Plans: {FOREIGN}, pro and")) == ["per_1"]
    assert visible_reference(row(description=f"Plans: {FOREIGN} …")) is None
    assert visible_reference(row(description=f"{TEXT} {FOREIGN} edited")) == FOREIGN


def test_a_short_text_is_whole_only_beside_a_longer_one_with_its_reference() -> None:
    whole = row("per_2", name="Other", description=f"{TEXT} {'more ' * 20}{FOREIGN}")
    assert ids(row(description="Made by hand."), whole) == []
    assert ids(row(description=TEXT[:-1] + "…"), whole) == ["per_1"]
    shorter = row("per_2", name="Other", description=f"Short. {FOREIGN}")
    assert ids(row(description=TEXT), shorter) == ["per_1"]
    assert not is_shown_whole("Made by hand.", ["x" * 500])
    assert not is_shown_whole("", [whole.description or ""])


def test_a_cut_row_with_our_name_is_possible_unless_of_another_cluster() -> None:
    old = row(name="Segment CDP: Former label", description="Former label segm…")
    assert ids(old) == ["per_1"]
    assert ids(old, other_names=["Segment CDP: Former label"]) == []
    assert ids(row(name="Segment CDP: Former label", description="Whole, as it seems")) == []
    by_hand = row(name="By hand", description="Somebody's te…")
    assert ids(by_hand) == []
    assert ids(by_hand, searched=True) == ["per_1"]


def test_texts_that_end_at_one_length_are_cut_there() -> None:
    rows = [row(f"per_{n}", name=f"Segment CDP: {n}", description=f"{n}" * 50) for n in range(3)]
    assert ids(*rows) == ["per_0", "per_1", "per_2"]


def test_odd_rows_are_ignored_and_a_list_without_names_is_not() -> None:
    assert ids(Persona(id="42"), Persona(id="per_odd")) == []
    assert ids(row(name=None, is_custom=None)) == ["per_1"]
    # As JSON:API has it: the name is in a field that is not known.
    assert ids(Persona.model_validate({"id": "per_1", "type": "persona", "attributes": {"name": "High Value"}})) == [
        "per_1"
    ]
    named = row("per_2", name="By hand", description="x")
    assert ids(row(name=None, is_custom=None), named) == []


def test_the_most_alike_come_first_and_a_repeated_row_counts_once() -> None:
    remote = row("per_a", name="Segment CDP: Former", description="")
    alike = row("per_b", description="")
    assert ids(remote, alike, alike) == ["per_b", "per_a"]


@pytest.mark.parametrize(("shown", "begins"), [(200, True), (80, True), (70, True), (40, False), (2, False)])
def test_the_beginning_of_our_own_text_is_known_if_it_is_long_enough(shown: int, begins: bool) -> None:
    assert matches_beginning(row(description=WANTED.description[:shown]), WANTED) is begins
    assert matches_beginning(row(description=WANTED.description[: shown - 2] + " …"), WANTED) is begins
    assert not matches_beginning(row(description=WANTED.description[:shown], name="Another"), WANTED)
    assert not matches_beginning(row(description=TEXT.replace("1200", "1300")[:shown]), WANTED)


# Whatever the list shows


LABELS = ["High Value", "Growth", "At Risk", "New", "VIP"]


def cut(text: str, at: int | None, mark: str, by_words: bool) -> str | None:
    if at is None or len(text) <= at:
        return text
    if at == 0:
        return None
    kept = text[:at]
    return (kept.rpartition(" ")[0] or kept if by_words else kept) + mark


@st.composite
def lists(draw: st.DrawFn) -> tuple[list[Persona], list[Persona]]:
    """Rows as they are, and as a list shows them that cuts descriptions at one length; other rows among them."""
    at = draw(st.one_of(st.none(), st.just(0), st.integers(1, 400)))
    mark, by_words = draw(st.sampled_from(["", "…", " …", "..."])), draw(st.booleans())
    true, shown = [], []
    for number in range(draw(st.integers(0, 8))):
        label = draw(st.sampled_from(LABELS))
        reference = draw(st.sampled_from([OURS, SIBLING, FOREIGN, None]))
        n = draw(st.integers(3, 99_999))
        more = " ".join(
            draw(st.lists(st.sampled_from(["Engagement: high.", "Plans: pro.", "They are 5% of all."]), max_size=9))
        )
        text = " ".join(
            filter(None, [f"{label} segment from Segment computed traits. N={n}.", more, str(reference or "")])
        )
        if reference == OURS:
            label = "High Value"
        custom = True if reference else draw(st.sampled_from([True, False, None]))
        fields = {"id": f"per_{number}", "name": f"Segment CDP: {label}", "is_custom": custom, "created_at": number}
        true.append(Persona(**fields, description=text))
        shown.append(Persona(**fields, description=cut(text, at, mark, by_words)))
    return true, shown


@pytest.mark.timeout(600)  # on a loaded machine thousands of examples take longer than a test usually may
@given(rows=lists(), searched=st.booleans())
@examples(120, thorough=2000)
def test_a_persona_that_is_there_is_found_or_a_possible_match(
    rows: tuple[list[Persona], list[Persona]], searched: bool
) -> None:
    true, shown = rows
    ours = {one.id for one in true if (one.description or "").endswith(str(OURS))}
    found = {one.id for one in shown if visible_reference(one) == OURS and (one.description or "").endswith(str(OURS))}
    doubtful = set(ids(*shown, searched=searched, other_names=[f"Segment CDP: {label}" for label in LABELS]))
    assert ours <= found | doubtful


@given(rows=lists())
@examples(100, thorough=1500)
def test_a_list_with_whole_texts_raises_no_doubt_about_references(
    rows: tuple[list[Persona], list[Persona]],
) -> None:
    true, _ = rows
    referred = {one.id for one in true if (one.description or "").endswith("]") and one.is_custom}
    assert not referred & set(ids(*true))
