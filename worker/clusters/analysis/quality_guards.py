"""Quality guards: checks that raise an alarm before bad data changes personas.

A guard looks at entries that are not readable, at a space that lost profiles or a trait compared with the last complete
sync, and at values that are not usable. Small spaces change by chance, so counts below `MIN_COMPARED` raise no alarm;
unreadable entries do in any number. Evidence is checked per cluster: its members must have the traits that the cluster
is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.clusters.analysis.snapshot import Snapshot
from worker.clusters.analysis.summary import ClusterSummary
from worker.clusters.rules.condition import Condition
from worker.clusters.rules.rules import Rules

MIN_COMPARED = 30
"""Fewest profiles, or values of a trait, from which an alarm is concluded."""

MIN_EVIDENCE = 0.2
"""Smallest share of a cluster's profiles that must have a trait that the cluster needs (0 to 1)."""

_MANY_VANISHED = (
    "Segment lists these profiles and answers 404 to the requests for their traits. Check that the token is the one of "
    "this space and may read traits, and SEGMENT_REGION."
)


@dataclass(frozen=True, slots=True)
class GuardThresholds:
    """Thresholds of the guards, each a share from 0 to 1.

    Attributes:
        profiles: Alarm if the profiles are at most this share of those of the last sync; 0 disables the guard.
        coverage: Alarm if the coverage of a trait is at most this share of that of the last sync; 0 disables the guard.
        trait_errors: Alarm if more than this share of a trait's values is not usable; 1 disables the guard.
        profile_errors: Alarm if more than this share of the entries is not usable, and in any case if none is.
    """

    profiles: float
    coverage: float
    trait_errors: float
    profile_errors: float = 0.2


@dataclass(frozen=True, slots=True)
class Alarm:
    """A result of the guards.

    Attributes:
        code: `guard_profile_errors`, `guard_profiles`, `guard_coverage` or `guard_trait_errors`.
        sentence: What was expected and what was found, without a full stop.
        hint: What to check, in whole sentences; may be empty.
    """

    code: str
    sentence: str
    hint: str = ""

    def text_with_hint(self) -> str:
        """Returns the sentence and the hint as one text."""
        return f"{self.sentence}. {self.hint}" if self.hint else self.sentence


@dataclass(frozen=True, slots=True)
class UncountedEntries:
    """Entries that were read but are in no statistic.

    Attributes:
        errors: Entries that are not profiles.
        unreadable: Profiles that the source does not return.
        vanished: Profiles that Segment listed, and whose traits it does not find.
        merged: Rows that are part of other profiles; an alarm only if there are no profiles.
    """

    errors: int
    unreadable: int
    vanished: int = 0
    merged: int = 0


NO_UNCOUNTED_ENTRIES = UncountedEntries(0, 0)


def find_alarms(
    now: Snapshot,
    before: Snapshot | None,
    trait_errors: Mapping[str, int],
    values: Mapping[str, int],
    thresholds: GuardThresholds,
    uncounted: UncountedEntries = NO_UNCOUNTED_ENTRIES,
    *,
    shapes: Mapping[str, Iterable[str]] | None = None,
) -> tuple[Alarm, ...]:
    """Finds every alarm, the most severe first.

    Args:
        now: What the sync read.
        before: The last complete sync with the same counting digest; None if there is none or `now` is not complete.
        trait_errors: By trait, the number of profiles with a value that is not usable.
        values: By trait, the number of profiles with a usable value.
        thresholds: When a guard raises an alarm.
        uncounted: Entries that were read but are in no statistic.
        shapes: By trait, the most frequent shapes of the values that are not usable, for the message.
    """
    found = list(_profile_errors(uncounted, now.profiles, thresholds.profile_errors))
    if before is not None and before.profiles >= MIN_COMPARED:
        found += _profiles(now, before, thresholds.profiles)
        found += _coverage(now, before, thresholds.coverage)
    return (*found, *_trait_errors(trait_errors, values, thresholds.trait_errors, shapes or {}))


def has_evidence(rules: Rules, summary: ClusterSummary) -> bool:
    """Returns whether enough members of a cluster have a trait that the cluster needs.

    A cluster needs the traits that its condition compares; the cluster for everyone else needs any trait that the rules
    compare. Without this evidence the members are in the cluster only because of what missing values count as, so the
    cluster makes no persona. For several traits only the coverage of each is known, so their sum is compared with
    `MIN_EVIDENCE`.
    """
    condition = next((cluster.when for cluster in rules.clusters if cluster.key == summary.key), None)
    needed = rules.compiled.deciding if condition is None else compared_traits(condition)
    return not needed or sum(map(summary.coverage, needed)) >= MIN_EVIDENCE * summary.n


def compared_traits(condition: Condition) -> frozenset[str]:
    """Returns the traits whose values a condition compares. Asking only whether a trait is missing does not compare."""
    own = {condition.trait} if condition.trait and condition.comparisons.keys() - {"missing"} else set[str]()
    return frozenset(own).union(*(compared_traits(part) for _, part in condition.parts))


def _profile_errors(uncounted: UncountedEntries, profiles: int, max_share: float) -> Iterator[Alarm]:
    bad = uncounted.errors + uncounted.unreadable + uncounted.vanished
    entries = bad + profiles + (0 if profiles else uncounted.merged)
    if entries and (bad > max_share * entries or not profiles):
        parts = {
            "are not profiles": uncounted.errors,
            "are profiles that cannot be read": uncounted.unreadable,
            "were gone before their traits were read": uncounted.vanished,
            "are merged": 0 if profiles else uncounted.merged,
        }
        found = " and ".join(f"{n:,} {what}" for what, n in parts.items() if n)
        hint = _MANY_VANISHED if uncounted.vanished > max_share * entries else ""
        yield Alarm("guard_profile_errors", f"Of the {entries:,} entries that were read, {found}", hint)


def _profiles(now: Snapshot, before: Snapshot, min_share: float) -> Iterator[Alarm]:
    if min_share and now.profiles <= min_share * before.profiles:
        yield Alarm(
            "guard_profiles",
            f"The space has {now.profiles:,} profiles; the last complete sync, {before.sync_id}, "
            f"read {before.profiles:,}",
        )


def _coverage(now: Snapshot, before: Snapshot, min_share: float) -> Iterator[Alarm]:
    for trait, had in before.coverage.items():
        was, has = had / before.profiles, now.coverage.get(trait, 0) / now.profiles if now.profiles else 0.0
        if min_share and had >= MIN_COMPARED and has <= min_share * was:
            yield Alarm(
                "guard_coverage",
                f"{has:.1%} of the profiles have {trait}, which the rules need; at the last complete sync, "
                f"{before.sync_id}, it was {was:.1%}",
            )


def _trait_errors(
    errors: Mapping[str, int], values: Mapping[str, int], max_share: float, shapes: Mapping[str, Iterable[str]]
) -> Iterator[Alarm]:
    for trait, bad in errors.items():
        there = bad + values.get(trait, 0)
        if there >= MIN_COMPARED and bad > max_share * there:
            like = ", ".join(shapes.get(trait, ()))
            sentence = f"{bad:,} of the {there:,} values of {trait} cannot be used"
            yield Alarm("guard_trait_errors", f"{sentence}; frequent shapes: {like}" if like else sentence)
