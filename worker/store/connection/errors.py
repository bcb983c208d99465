"""What an error of Redis means that no waiting cures and no other user or password: one sentence for each kind.

No sentence quotes a command's arguments except the name of a key: they may hold what is to be written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import redis.exceptions as redis_errors

from worker.errors import StoreUnusable
from worker.store.connection.outage import describe_error

CLUSTER = (
    "REDIS_URL names a Redis Cluster, which is not supported: scripts and queue span its slots. "
    "Use a Redis that is no cluster"
)
SENTINEL = "REDIS_URL names a Redis Sentinel, which keeps no data. Name the Redis that it watches"
REPLICA = "REDIS_URL names a read-only replica. Name its primary"

_UNKNOWN_COMMAND = re.compile(r"unknown command ['`]?([^'`,\s]+)", re.IGNORECASE)
_IN_PIPELINE = re.compile(r"^Command # \d+ \((\S+) (\S+)")
_CLUSTER_WORDS = re.compile(
    r"\b(MOVED|CROSSSLOT|TRYAGAIN)\b|don't hash to the same slot|SELECT is not allowed in cluster mode|"
    r"keys in a script.*same slot|non local key in a cluster node",
    re.IGNORECASE,
)
_SENTINEL_COMMANDS = {
    "MULTI",
    "EXEC",
    "EVALSHA",
    "EVAL",
    "TIME",
    "ZRANGEBYSCORE",
    "ZADD",
    "HGETALL",
    "GET",
    "ZREVRANGE",
    "BLPOP",
}
_PASSED_ON = (redis_errors.NoScriptError, redis_errors.WatchError)


def to_store_error(error: Exception, command: Sequence[Any]) -> Exception:
    """The error as StoreUnusable if Redis has answered with one; any other, and those that callers expect, as it is.

    command: the name and the arguments; empty for a pipeline, whose errors name the command.
    """
    if not isinstance(error, redis_errors.RedisError) or isinstance(error, _PASSED_ON):
        return error
    return StoreUnusable(_sentence(error, command))


def _sentence(error: redis_errors.RedisError, command: Sequence[Any]) -> str:
    text = str(error)
    cluster_errors = (redis_errors.AskError, redis_errors.ClusterCrossSlotError, redis_errors.ClusterError)
    if isinstance(error, cluster_errors) or _CLUSTER_WORDS.search(text):
        return CLUSTER
    if unknown := _UNKNOWN_COMMAND.search(text):
        name = unknown[1].upper()
        sentence = f"Redis does not know the command {name[:40]}"
        if name in _SENTINEL_COMMANDS:
            sentence += "; is it a Sentinel, or does the provider forbid it?"
        return f"{sentence} docs/deployment.md names the commands that are needed" if sentence[-1] == "?" else sentence
    if "EXEC without MULTI" in text:
        return "The user of REDIS_URL may not run MULTI"
    if "WRONGTYPE" in text:
        found = _IN_PIPELINE.match(text)
        key = found[2] if found else _text(command[1]) if len(command) > 1 else "one of our keys"
        return (
            f"Redis holds something that is not ours: {key} is of another type. "
            "Move it away, or set another REDIS_PREFIX"
        )
    return f"Redis refuses a command: {describe_error(error).partition(', with args beginning with')[0]}"


def _text(part: object) -> str:
    return (part.decode(errors="replace") if isinstance(part, bytes) else str(part))[:200]
