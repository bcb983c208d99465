"""What should make somebody look before personas change: entries that cannot be read, and a space that has lost
profiles, a trait, or its good values.

Pure: from statistics and, if there are any, those of the last complete sync to the first alarm. Small spaces change by
chance: nothing is concluded from fewer than `LEAST` profiles. That entries cannot be read is not chance, in any number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.clusters.analysis.snapshot import Snapshot

LEAST = 30


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From where on it is an alarm; each a share from 0 to 1.

    profiles: at most so many of the profiles before. coverage: at most so much of a trait's coverage before; 0 switches
    either off. trait_errors: more than so many of a trait's values cannot be used; 1 switches it off. profile_errors:
    more than so many of the entries that were read cannot be used; with 1, it is an alarm if none can.
    """

    profiles: float
    coverage: float
    trait_errors: float
    profile_errors: float = 0.2


@dataclass(frozen=True, slots=True)
class Alarm:
    """code: `guard_profile_errors`, `guard_profiles`, `guard_coverage` or `guard_trait_errors`.

    sentence: what was and what is.
    """

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Unread:
    """Entries that count as no profile.

    errors: they are none. unreadable: the source does not answer for them. vanished, merged: gone before their traits
    were read, and parts of other profiles; an alarm only if there is nothing else.
    """

    errors: int
    unreadable: int
    vanished: int = 0
    merged: int = 0


NOTHING_UNREAD = Unread(0, 0)


def alarms(
    now: Snapshot,
    before: Snapshot | None,
    trait_errors: Mapping[str, int],
    values: Mapping[str, int],
    thresholds: Thresholds,
    unread: Unread = NOTHING_UNREAD,
) -> tuple[Alarm, ...]:
    """Everything that is an alarm, the gravest first.

    before: the last complete sync that counted alike; None if there is none, or if `now` is not complete. trait_errors,
    values: by trait, how many profiles have a value that cannot be used, and one that can. unread: what was read and is
    in no statistic.
    """
    found = list(_profile_errors(unread, now.profiles, thresholds.profile_errors))
    if before is not None and before.profiles >= LEAST:
        found += _profiles(now, before, thresholds.profiles)
        found += _coverage(now, before, thresholds.coverage)
    return (*found, *_trait_errors(trait_errors, values, thresholds.trait_errors))


def _profile_errors(unread: Unread, profiles: int, most: float) -> Iterator[Alarm]:
    bad, gone = unread.errors + unread.unreadable, unread.vanished + unread.merged
    entries = bad + profiles + (0 if profiles else gone)
    if entries and (bad > most * entries or not profiles):
        parts = {"are no profiles": unread.errors, "are profiles that cannot be read": unread.unreadable}
        if not profiles:
            parts |= {"were gone before their traits were read": unread.vanished, "are merged": unread.merged}
        told = " and ".join(f"{n:,} {what}" for what, n in parts.items() if n)
        yield Alarm("guard_profile_errors", f"Of the {entries:,} entries that were read, {told}")


def _profiles(now: Snapshot, before: Snapshot, least: float) -> Iterator[Alarm]:
    if least and now.profiles <= least * before.profiles:
        yield Alarm(
            "guard_profiles",
            f"The space has {now.profiles:,} profiles; the last complete sync, {before.sync_id}, "
            f"read {before.profiles:,}",
        )


def _coverage(now: Snapshot, before: Snapshot, least: float) -> Iterator[Alarm]:
    for trait, had in before.coverage.items():
        was, has = had / before.profiles, now.coverage.get(trait, 0) / now.profiles if now.profiles else 0.0
        if least and had >= LEAST and has <= least * was:
            yield Alarm(
                "guard_coverage",
                f"{has:.1%} of the profiles have {trait}, which the rules need; at the last complete sync, "
                f"{before.sync_id}, it was {was:.1%}",
            )


def _trait_errors(errors: Mapping[str, int], values: Mapping[str, int], most: float) -> Iterator[Alarm]:
    for trait, bad in errors.items():
        there = bad + values.get(trait, 0)
        if there >= LEAST and bad > most * there:
            yield Alarm("guard_trait_errors", f"{bad:,} of the {there:,} values of {trait} cannot be used")
