"""What a process has watched itself, by its own clock, is all that it believes."""

from __future__ import annotations

import math

from worker.jobs.settle_watch import SettleWatch


def test_a_claim_is_as_old_as_this_process_has_watched_it() -> None:
    now = [100.0]
    watch = SettleWatch(lambda: now[0])
    assert watch.claim_s("a") == 0
    now[0] += 7
    assert (watch.claim_s("a"), watch.claim_s("b")) == (7, 0)
    now[0] += 1
    assert (watch.claim_s("a"), watch.claim_s("b")) == (8, 1)


def test_very_many_claims_are_not_remembered_for_ever() -> None:
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
    assert watch.run_s("run 1") == math.inf
    now[0] += 3
    assert watch.run_s("run 1") == math.inf
    assert watch.run_s("run 2") == 0
    now[0] += 4
    assert watch.run_s("run 2") == 4
    assert watch.run_s("run 1") == 0
