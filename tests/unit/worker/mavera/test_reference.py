"""References: stable, distinct, and found again in any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.mavera.reference import Reference, find_reference, make_reference, replace_reference, strip_references

BASE = ("spa_1", "users", "recipe", "high_value")


def test_the_same_persona_always_has_the_same_reference() -> None:
    # Written out, because personas that were bought under it must still be found by later versions.
    assert str(make_reference(*BASE)) == "[segment-personas 4c2c48f2d2 d3002149]"


def test_the_clusters_of_one_space_share_their_family_only() -> None:
    found = [make_reference(*BASE[:3], cluster) for cluster in ("high_value", "growth", "at_risk", "new")]
    assert len({each.family for each in found}) == 1
    assert len({each.cluster for each in found}) == 4


@pytest.mark.parametrize(
    "other",
    [
        make_reference("spa_2", *BASE[1:]),
        make_reference("spa_1", "accounts", *BASE[2:]),
        make_reference("spa_1", "users", "quantiles", "high_value"),
        make_reference(*BASE, sync_id="s1"),
        make_reference("spa_1users", "", *BASE[2:]),
    ],
)
def test_another_space_collection_rules_or_creating_sync_has_another_family(other: Reference) -> None:
    assert other.family != make_reference(*BASE).family
    assert other.cluster != make_reference(*BASE).cluster


def test_each_sync_in_mode_create_has_its_own_family() -> None:
    assert make_reference(*BASE, sync_id="s1") == make_reference(*BASE, sync_id="s1")
    assert make_reference(*BASE, sync_id="s1").family != make_reference(*BASE, sync_id="s2").family


@given(st.text(), st.text(), st.text(), st.text(), st.none() | st.text(), st.text(), st.text())
def test_a_reference_is_found_again_in_any_text(
    space: str, collection: str, rules: str, cluster: str, sync: str | None, before: str, after: str
) -> None:
    made = make_reference(space, collection, rules, cluster, sync_id=sync)
    assert find_reference(f"{before} {made} {after}") == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "High Value segment.",
        "[segment-personas]",
        "[segment-personas 3f9a2c1d4e]",
        "[segment-personas 3f9a2c1d4 8b21cc90]",
        "[segment-personas 3f9a2c1d4g 8b21cc90]",
        "segment-personas 3f9a2c1d4e 8b21cc90",
        "[other 3f9a2c1d4e 8b21cc90]",
    ],
)
def test_a_text_without_a_reference_has_none(text: str) -> None:
    assert find_reference(text) is None


def test_a_quoted_reference_does_not_hide_the_one_at_the_end() -> None:
    quoted, own = make_reference("spa_9", *BASE[1:]), make_reference(*BASE)
    assert find_reference(f"Industries: {quoted}. Plans: pro. {own}") == own


def test_a_reference_survives_reflowed_white_space() -> None:
    own = make_reference(*BASE)
    assert find_reference(str(own).replace(" ", "\n  ")) == own


def test_a_description_gets_another_reference_instead_of_its_own() -> None:
    quoted, own, new = make_reference("spa_9", *BASE[1:]), make_reference(*BASE), make_reference(*BASE[:3], "renamed")
    assert replace_reference(f"Quotes {quoted}. {own}", new) == f"Quotes {quoted}. {new}"
    assert replace_reference(f"Before. {str(own).replace(' ', chr(10))} After.", new) == f"Before. After. {new}"
    assert replace_reference("Made by hand.", new) == f"Made by hand. {new}"
    assert replace_reference("", new) == str(new)
    assert replace_reference(replace_reference("Made by hand.", new), new) == f"Made by hand. {new}"


def test_a_text_that_is_about_to_be_referred_quotes_no_reference() -> None:
    quoted = make_reference("spa_9", *BASE[1:])
    assert strip_references(f"Plans: {quoted}, pro. {quoted}") == "Plans: , pro."
    assert strip_references("Plans:  pro.") == "Plans:  pro."
