"""Describes lasting errors of Redis, each by a sentence and a hint: another server mode, a wrong type, and so on.

No sentence quotes an argument of a command except the name of a key, because arguments may hold data of a sync.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import redis.exceptions as redis_errors

from worker.errors import StoreUnusable
from worker.store.connection.outage import describe_error

_UNKNOWN_COMMAND = re.compile(r"unknown command ['`]?([^'`,\s]+)", re.IGNORECASE)
_IN_PIPELINE = re.compile(r"^Command # \d+ \((\S+) (\S+)")
_CLUSTER_WORDS = re.compile(
    r"\b(MOVED|CROSSSLOT|TRYAGAIN)\b|don't hash to the same slot|SELECT is not allowed in cluster mode|"
    r"keys in a script.*same slot|non local key in a cluster node",
    re.IGNORECASE,
)
_PASSED_ON = (redis_errors.NoScriptError, redis_errors.WatchError)


def to_store_error(error: Exception, command: Sequence[Any]) -> Exception:
    """Turns an error that Redis answered into StoreUnusable. Other errors, and those that callers expect, are returned.

    Args:
        error: The error.
        command: Name and arguments of the command; empty for a pipeline, whose errors name the command.
    """
    if not isinstance(error, redis_errors.RedisError) or isinstance(error, _PASSED_ON):
        return error
    return _unusable(error, command)


def cluster_error() -> StoreUnusable:
    """Returns the error that REDIS_URL names a cluster."""
    return StoreUnusable(
        "REDIS_URL names a Redis Cluster, which is not supported: scripts and queue span its slots",
        hint="Use a Redis that is not a cluster.",
    )


def sentinel_error() -> StoreUnusable:
    """Returns the error that REDIS_URL names a sentinel."""
    return StoreUnusable(
        "REDIS_URL names a Redis Sentinel, which keeps no data", hint="Name the Redis that the Sentinel watches."
    )


def replica_error() -> StoreUnusable:
    """Returns the error that REDIS_URL names a replica."""
    return StoreUnusable("REDIS_URL names a read-only replica", hint="Name its primary.")


def foreign_key_error(found: str) -> StoreUnusable:
    """Returns the error that a key of this program has another type.

    Args:
        found: The key, and the type that it has.
    """
    return StoreUnusable(
        f"Redis holds data of another program: {found}", hint="Move it away, or set another REDIS_PREFIX."
    )


def _unusable(error: redis_errors.RedisError, command: Sequence[Any]) -> StoreUnusable:
    text = str(error)
    cluster_errors = (redis_errors.AskError, redis_errors.ClusterCrossSlotError, redis_errors.ClusterError)
    if isinstance(error, cluster_errors) or _CLUSTER_WORDS.search(text):
        return cluster_error()
    if unknown := _UNKNOWN_COMMAND.search(text):
        return StoreUnusable(
            f"Redis does not know the command {unknown[1].upper()[:40]}",
            hint="Check whether REDIS_URL names a Sentinel, or whether the provider forbids the command: "
            "docs/deployment.md lists the commands that are needed.",
        )
    if "EXEC without MULTI" in text:
        return StoreUnusable("The user of REDIS_URL may not run MULTI")
    if "WRONGTYPE" in text:
        found = _IN_PIPELINE.match(text)
        key = found[2] if found else _text(command[1]) if len(command) > 1 else "one of our keys"
        return foreign_key_error(f"{key} is of another type")
    return StoreUnusable(f"Redis refuses a command: {describe_error(error).partition(', with args beginning with')[0]}")


def _text(part: object) -> str:
    return (part.decode(errors="replace") if isinstance(part, bytes) else str(part))[:200]
