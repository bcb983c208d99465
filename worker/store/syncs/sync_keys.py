"""The keys of the scripts that end, hand over or commit a sync, by the names of the scripts' parameters.

Each group contains the one before it, as each kind of script writes more keys than the one before.
"""

from __future__ import annotations

from typing import TypedDict

from worker.store import keys


class EndKeys(TypedDict):
    """The keys of a script that ends a sync."""

    sync: keys.HashKey
    queue: keys.SortedSetKey
    due: keys.SortedSetKey


class HandOverKeys(EndKeys):
    """The keys of a script that may also enqueue a job, and wakes a worker for it."""

    wake: keys.ListKey


class CommitKeys(HandOverKeys):
    """The keys of a script that may also begin to finalize the sync."""

    outcomes: keys.HashKey


def end_keys(sync_id: str, account: str) -> EndKeys:
    """Returns the keys of a sync that ends.

    Args:
        sync_id: Id of the sync.
        account: The Mavera account whose queue holds its jobs.
    """
    return {"sync": keys.sync(sync_id), "queue": keys.queue(account), "due": keys.DUE}


def hand_over_keys(sync_id: str, account: str) -> HandOverKeys:
    """Returns the keys of a sync that is handed over; the arguments are those of `end_keys`."""
    return {**end_keys(sync_id, account), "wake": keys.wake(account)}


def commit_keys(sync_id: str, account: str) -> CommitKeys:
    """Returns the keys of a sync whose progress is committed; the arguments are those of `end_keys`."""
    return {**hand_over_keys(sync_id, account), "outcomes": keys.outcomes(sync_id)}
