"""What an error of Redis means that no waiting cures: one sentence, without any argument but the name of a key."""

from __future__ import annotations

import pytest
import redis.exceptions as redis_errors

from worker.errors import StoreUnusable
from worker.store.connection.errors import to_store_error
from worker.store.connection.outage import is_outage

SECRET = "what is written"


@pytest.mark.parametrize(
    ("error", "fragment"),
    [
        (redis_errors.MovedError("3999 127.0.0.1:7001"), "Cluster"),
        (redis_errors.ClusterCrossSlotError("Keys in request don't hash to the same slot"), "Cluster"),
        (redis_errors.ResponseError("CROSSSLOT Keys in request don't hash to the same slot"), "Cluster"),
        (redis_errors.ResponseError("MOVED 3999 127.0.0.1:7001"), "Cluster"),
        (
            redis_errors.ResponseError("unknown command 'EVALSHA', with args beginning with: 'what is written'"),
            "EVALSHA",
        ),
        (redis_errors.ResponseError("unknown command `INFO`, with args beginning with: "), "INFO"),
        (redis_errors.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"), "sp:workers"),
        (
            redis_errors.ResponseError(
                "Command # 1 (ZADD sp:workers what is written) of pipeline caused error: WRONGTYPE Operation"
            ),
            "sp:workers",
        ),
        (redis_errors.ResponseError("EXEC without MULTI"), "may not run MULTI"),
        (redis_errors.ResponseError("something new. And more\nof it"), "something new"),
    ],
    ids=str,
)
def test_an_unexpected_error_is_one_sentence_that_shows_no_argument(error: Exception, fragment: str) -> None:
    found = to_store_error(error, ("ZADD", "sp:workers", SECRET))
    assert isinstance(found, StoreUnusable)
    assert fragment in str(found)
    assert SECRET not in str(found)
    assert "\n" not in str(found)


@pytest.mark.parametrize("error", [redis_errors.NoScriptError("No matching script."), ValueError("not of Redis")])
def test_an_error_that_a_caller_expects_stays_unchanged(error: Exception) -> None:
    assert to_store_error(error, ("GET", "key")) is error


@pytest.mark.parametrize(
    "text",
    [
        "max requests limit exceeded. Limit: 10000, Usage: 10000. See https://example.test for details",
        "max daily request limit exceeded. Limit: 10000, Usage: 10000.",
        "max number of clients reached",
    ],
)
def test_a_quota_that_is_used_up_is_waited_for(text: str) -> None:
    assert is_outage(redis_errors.ResponseError(text))
