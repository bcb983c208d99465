"""A merge of a copy: nothing is lost, no doubt is removed, and a second merge changes nothing."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from worker.store.syncs.job_sync_store import HISTORY
from worker.store.transfer.state_copy import StateCopy, merge

PLACE = ("live-0123456789ab", "ref")
CLAIM = {"by": "a", "sync": "s1", "at": "1", "settle_ms": "5000"}


def snapshot(number: int) -> str:
    return json.dumps({"sync_id": f"s{number}", "read_to": number})


def history(*numbers: int) -> StateCopy:
    return StateCopy(histories={"x": tuple(map(snapshot, numbers))})


def test_a_record_that_differs_is_a_conflict_and_replaced_only_on_demand() -> None:
    present, copy = StateCopy({PLACE: "1"}), StateCopy({PLACE: "2"})
    kept = merge(present, copy)
    assert not kept.changes
    [conflict] = kept.conflicts
    assert (conflict.present, conflict.copied) == ("1", "2")
    assert merge(present, copy, replace=True).changes.records == {PLACE: "2"}
    assert not merge(present, present).conflicts


def test_two_claims_become_a_new_one_with_the_longer_settle_time() -> None:
    present = StateCopy(claims={PLACE: {**CLAIM, "by": "b", "settle_ms": "9000"}})
    merged = merge(present, StateCopy(claims={PLACE: CLAIM})).changes
    assert merged.claims == {PLACE: {**CLAIM, "settle_ms": "9000"}}
    assert not merge(merged, StateCopy(claims={PLACE: CLAIM})).changes


def test_a_claim_on_a_recorded_persona_is_left_out() -> None:
    for present in (StateCopy({PLACE: "1"}), StateCopy({PLACE: "1"}, {PLACE: CLAIM})):
        merged = merge(present, StateCopy(claims={PLACE: CLAIM}))
        assert not merged.changes
        assert merged.settled_claims == 1


def test_a_history_is_merged_by_time_and_keeps_its_length() -> None:
    merged = merge(history(5, 3), history(4, 3, 2)).changes.histories["x"]
    assert merged == list(map(snapshot, (5, 4, 3, 2)))
    assert not merge(history(5, 4, 3), history(4, 3)).changes
    long = merge(history(*range(100, 70, -1)), history(*range(71, 40, -1))).changes
    assert not long
    assert len(merge(history(200), history(*range(HISTORY, 0, -1))).changes.histories["x"]) == HISTORY


NUMBERS = st.lists(st.integers(1, 60), max_size=HISTORY, unique=True).map(lambda found: sorted(found, reverse=True))


@given(NUMBERS, NUMBERS)
def test_a_second_merge_changes_nothing(first: list[int], second: list[int]) -> None:
    present, copy = history(*first), history(*second)
    after = StateCopy(histories={**present.histories, **merge(present, copy).changes.histories})
    assert not merge(after, copy).changes
