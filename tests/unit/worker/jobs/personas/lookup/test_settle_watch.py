"""What a process has watched itself, by its own clock, is all that it believes."""

from __future__ import annotations

import math

from worker.jobs.personas.lookup.settle_watch import SettleWatch


def test_a_claim_is_as_old_as_this_process_has_watched_it() -> None:
    now = [100.0]
    watch = SettleWatch(lambda: now[0])
    assert watch.claim_s("a") == 0
    now[0] += 7
    assert (watch.claim_s("a"), watch.claim_s("b")) == (7, 0)
    now[0] += 1
    assert (watch.claim_s("a"), watch.claim_s("b")) == (8, 1)


def test_very_many_claims_are_not_kept_without_limit() -> None:
    now = [0.0]
    watch = SettleWatch(lambda: now[0])
    watch.claim_s("first")
    now[0] += 5
    for number in range(10_000):
        watch.claim_s(str(number))
    assert watch.claim_s("first") == 0


def test_a_run_of_redis_that_this_process_has_seen_begin_is_as_old_as_that() -> None:
    now = [100.0]
    watch = SettleWatch(lambda: now[0])
    assert watch.steady_s("run 1", 50) == 50
    now[0] += 3
    assert watch.steady_s("run 1", 53) == 53
    assert watch.steady_s("run 2", 3600) == 0  # as old as that by a clock that was set forward
    now[0] += 4
    assert watch.steady_s("run 2", 0) == 4
    assert watch.steady_s("run 1", 100) == 0


def test_a_redis_whose_clock_was_set_back_is_as_old_as_it_was_watched() -> None:
    now = [100.0]
    watch = SettleWatch(lambda: now[0])
    assert watch.steady_s("run 1", 0) == 0
    now[0] += 25
    assert watch.steady_s("run 1", 0) == 25


def test_a_run_that_never_ends_is_infinitely_old() -> None:
    assert SettleWatch(lambda: 0.0).steady_s("embedded", math.inf) == math.inf
