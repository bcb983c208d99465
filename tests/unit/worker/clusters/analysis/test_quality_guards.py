"""What should make somebody look before personas change, and what is chance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.syncs.spaces import snapshot
from worker.clusters.analysis.quality_guards import Alarm, GuardThresholds, UncountedEntries, find_alarms
from worker.clusters.analysis.snapshot import Snapshot

USUAL = GuardThresholds(profiles=0.5, coverage=0.5, trait_errors=0.2)
BEFORE = snapshot({"growth": 1000}, coverage={"ltv": 800})


def now(profiles: int = 1000, ltv: int = 800) -> Snapshot:
    return snapshot({"growth": profiles}, sync_id="now", coverage={"ltv": ltv})


def found(
    space: Snapshot,
    before: Snapshot | None = BEFORE,
    errors: dict[str, int] | None = None,
    thresholds: GuardThresholds = USUAL,
) -> list[str]:
    return [alarm.code for alarm in find_alarms(space, before, errors or {}, {"ltv": 800}, thresholds)]


def test_an_unchanged_space_raises_no_alarm() -> None:
    assert found(now()) == []


@pytest.mark.parametrize(("profiles", "codes"), [(501, []), (500, ["guard_profiles"]), (0, ["guard_profiles"])])
def test_half_of_the_profiles_gone_is_an_alarm(profiles: int, codes: list[str]) -> None:
    assert [code for code in found(now(profiles, ltv=profiles)) if code == "guard_profiles"] == codes


@pytest.mark.parametrize(("ltv", "codes"), [(401, []), (400, ["guard_coverage"]), (0, ["guard_coverage"])])
def test_half_of_a_deciding_traits_coverage_gone_is_an_alarm(ltv: int, codes: list[str]) -> None:
    assert found(now(ltv=ltv)) == codes


def test_coverage_alarm_compares_shares_not_counts() -> None:
    assert found(now(3000, ltv=800)) == ["guard_coverage"]


@pytest.mark.parametrize(("errors", "codes"), [(200, []), (201, ["guard_trait_errors"])])
def test_unusable_trait_values_raise_an_alarm_without_history(errors: int, codes: list[str]) -> None:
    assert found(now(), errors={"ltv": errors}) == codes
    assert found(now(), before=None, errors={"ltv": errors}) == codes


def test_a_trait_without_any_usable_value_raises_an_alarm() -> None:
    assert found(now(), errors={"seats": 30}) == ["guard_trait_errors"]


@pytest.mark.parametrize(
    ("errors", "unreadable", "profiles", "most", "is_alarm"),
    [
        (0, 0, 0, 0.2, False),
        (0, 0, 5, 0.0, False),
        (1, 0, 4, 0.2, False),
        (1, 1, 4, 0.2, True),
        (1, 0, 3, 0.2, True),
        (0, 201, 800, 0.2, True),
        (100, 100, 800, 0.2, False),
        (999, 0, 1, 1.0, False),
        (1, 0, 0, 1.0, True),
        (0, 1, 0, 1.0, True),
        (1, 0, 999_999, 0.0, True),
    ],
)
def test_unusable_entries_raise_an_alarm_in_spaces_of_any_size(
    errors: int, unreadable: int, profiles: int, most: float, is_alarm: bool
) -> None:
    space = snapshot({"growth": profiles}, coverage={"ltv": profiles})
    thresholds = replace(USUAL, profile_errors=most)
    codes = [alarm.code for alarm in find_alarms(space, None, {}, {}, thresholds, UncountedEntries(errors, unreadable))]
    assert codes == ["guard_profile_errors"] * is_alarm


@pytest.mark.parametrize(
    ("unread", "profiles", "is_alarm"),
    [
        (UncountedEntries(0, 0, vanished=9), 0, True),
        (UncountedEntries(0, 0, vanished=9), 1, True),
        (UncountedEntries(0, 0, vanished=20), 80, False),
        (UncountedEntries(0, 0, vanished=21), 79, True),
        (UncountedEntries(10, 5, vanished=6), 79, True),
        (UncountedEntries(0, 0, merged=9), 0, True),
        (UncountedEntries(0, 0, merged=9), 1, False),
    ],
)
def test_many_vanished_profiles_are_an_alarm_and_merged_ones_only_if_all_are(
    unread: UncountedEntries, profiles: int, is_alarm: bool
) -> None:
    alarms = find_alarms(snapshot({"growth": profiles}), None, {}, {}, USUAL, unread)
    assert [alarm.code for alarm in alarms] == ["guard_profile_errors"] * is_alarm
    assert all(("404" in alarm.hint) == (unread.vanished > 6) for alarm in alarms)


def test_little_is_chance() -> None:
    small = snapshot({"growth": 29}, coverage={"ltv": 29})
    assert found(now(0, 0), before=small) == []
    rare = snapshot({"growth": 1000}, coverage={"ltv": 29})
    assert found(now(ltv=0), before=rare) == []
    assert found(now(), errors={"seats": 29}) == []


@pytest.mark.parametrize(
    ("off", "silent"),
    [("profiles", "guard_profiles"), ("coverage", "guard_coverage"), ("trait_errors", "guard_trait_errors")],
)
def test_each_can_be_switched_off(off: str, silent: str) -> None:
    bad = now(100, ltv=0)
    errors = {"ltv": 10_000}
    everything = {"guard_profiles", "guard_coverage", "guard_trait_errors"}
    assert set(found(bad, errors=errors)) == everything
    never = 1.0 if off == "trait_errors" else 0.0
    assert set(found(bad, errors=errors, thresholds=replace(USUAL, **{off: never}))) == everything - {silent}


def test_an_alarm_says_what_was_and_what_is() -> None:
    assert find_alarms(now(400, ltv=100), BEFORE, {"ltv": 900}, {"ltv": 100}, USUAL) == (
        Alarm("guard_profiles", "The space has 400 profiles; the last complete sync, before, read 1,000"),
        Alarm(
            "guard_coverage",
            "25.0% of the profiles have ltv, which the rules need; at the last complete sync, before, it was 80.0%",
        ),
        Alarm("guard_trait_errors", "900 of the 1,000 values of ltv cannot be used"),
    )


def test_an_alarm_about_a_trait_shows_the_shapes_of_its_unusable_values() -> None:
    shapes = {"ltv": {'"9.999,99"': 700, '"AAA 9"': 200}, "plan": {"object": 3}}
    [alarm] = find_alarms(now(), None, {"ltv": 900, "plan": 3}, {"ltv": 100}, USUAL, shapes=shapes)
    assert (alarm.code, alarm.sentence.partition("shapes: ")[2]) == ("guard_trait_errors", '"9.999,99", "AAA 9"')
