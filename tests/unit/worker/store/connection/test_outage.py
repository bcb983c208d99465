"""Patience with Redis: what is waited out, for how long, and what is logged. Only sleeps make time pass."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable
from itertools import pairwise

import pytest
import redis.exceptions as redis_errors

from tests.support.clocks.virtual_time import now, run_in_virtual_time
from tests.support.failing_redis import AWAY, FailingRedis
from worker.errors import ConfigurationError, StoreUnavailable
from worker.store.connection.outage import LAST_TRY_S, Outage, describe_error, is_outage, is_refusal

# What it is


@pytest.mark.parametrize(
    "error",
    [
        AWAY,
        OSError("refused"),
        ConnectionResetError(),
        TimeoutError(),
        redis_errors.TimeoutError("Timeout reading from 127.0.0.1:1"),
        redis_errors.InvalidResponse('Protocol error, got "H" as reply type byte'),
        redis_errors.BusyLoadingError("Redis is loading the dataset in memory"),
        redis_errors.OutOfMemoryError(
            "command not allowed when used memory > 'maxmemory'. script: x, on @user_script:9."
        ),
        redis_errors.ReadOnlyError("You can't write against a read only replica."),
        redis_errors.ExecAbortError("Transaction discarded because of previous errors."),
        redis_errors.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
        redis_errors.ResponseError("MASTERDOWN Link with MASTER is down"),
        redis_errors.ResponseError("NOREPLICAS Not enough good replicas to write."),
        redis_errors.ResponseError("CLUSTERDOWN The cluster is down"),
        redis_errors.ResponseError("BUSY Redis is busy running a script."),
        redis_errors.ResponseError("UNBLOCKED force unblock from blocking operation"),
        redis_errors.ResponseError("Error running script (call to f_1): @user_script:9: -OOM command not allowed"),
        redis_errors.ResponseError("Command # 1 (SET a b) of pipeline caused error: ('MISCONF Redis is',)"),
        redis_errors.ResponseError("Command # 1 (SET a b) of pipeline caused error: MISCONF Redis is"),
    ],
    ids=str,
)
def test_what_passes_is_an_outage(error: Exception) -> None:
    assert is_outage(error)
    assert not is_refusal(error)


@pytest.mark.parametrize(
    "error",
    [
        redis_errors.AuthenticationError("invalid username-password pair or user is disabled."),
        redis_errors.AuthenticationWrongNumberOfArgsError("wrong number of arguments for 'auth' command"),
        redis_errors.AuthorizationError("no"),
        redis_errors.NoPermissionError("this user has no permissions to run the 'evalsha' command"),
        redis_errors.ResponseError("DB index is out of range"),
        redis_errors.ResponseError("DENIED Redis is running in protected mode"),
        redis_errors.ResponseError("Protocol error: unauthenticated multibulk length"),
    ],
    ids=str,
)
def test_what_only_another_url_mends_is_a_refusal(error: Exception) -> None:
    assert is_refusal(error)
    assert not is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        redis_errors.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value"),
        redis_errors.ResponseError(
            "Command # 1 (GET sp:limit:segment:OOM) of pipeline caused error: WRONGTYPE Operation"
        ),
        redis_errors.ResponseError("user_script:9: attempt to compare nil with number"),
        redis_errors.NoScriptError("No matching script."),
        redis_errors.WatchError("Watched variable changed."),
        ValueError("OOM"),
        RuntimeError("LOADING"),
    ],
    ids=str,
)
def test_anything_else_is_neither(error: Exception) -> None:
    assert not is_outage(error)
    assert not is_refusal(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (AWAY, "Error 111 connecting to 127.0.0.1:1. Connection refused"),
        (TimeoutError(), "TimeoutError"),
        (redis_errors.ResponseError("one\ntwo"), "one"),
        (redis_errors.ResponseError("x" * 500), "x" * 200),
        (redis_errors.ResponseError("Command # 1 (SET key value) of pipeline caused error: OOM no."), "OOM no"),
        (
            redis_errors.InvalidResponse('Protocol error, got "H" as reply type byte'),
            'the server that answers is not a Redis (Protocol error, got "H" as reply type byte)',
        ),
    ],
)
def test_a_reason_is_one_line_without_the_command(error: Exception, words: str) -> None:
    assert describe_error(error) == words


# For how long


def test_an_answer_is_waited_for_in_growing_steps_of_half_a_second_at_most() -> None:
    async def body() -> None:
        redis = FailingRedis(*[AWAY] * 10)
        assert await Outage(math.inf).wait_out(redis.ask) == "answer"
        steps = [round(after - before, 6) for before, after in pairwise(redis.attempts)]
        assert steps == [0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5, 0.5, 0.5, 0.5]

    run_in_virtual_time(body)


def test_a_refused_connection_is_given_up_when_patience_ends() -> None:
    async def body() -> None:
        redis, began_at = FailingRedis(AWAY, for_ever=True), now()
        with pytest.raises(StoreUnavailable, match=r"^Redis does not answer: Error 111 .*refused$") as caught:
            await Outage(5).wait_out(redis.ask)
        assert (caught.value.lasting, "Check REDIS_URL" in caught.value.hint) == (False, True)
        assert 4 < now() - began_at <= 5.1
        assert redis.attempts[-1] - began_at <= 5

    run_in_virtual_time(body)


def test_a_hung_redis_is_given_up_when_patience_ends() -> None:
    async def body() -> None:
        began_at = now()
        with pytest.raises(StoreUnavailable, match="TimeoutError"):
            await Outage(5).wait_out(FailingRedis(None, for_ever=True).ask)
        assert 4.9 < now() - began_at < 5.2

    run_in_virtual_time(body)


def test_an_attempt_that_is_cut_short_leaves_the_reason_of_the_one_before() -> None:
    async def body() -> None:
        failures = iter([redis_errors.ConnectionError("CERTIFICATE_VERIFY_FAILED")])

        async def ask() -> None:
            if failure := next(failures, None):
                raise failure
            await asyncio.get_running_loop().create_future()

        with pytest.raises(StoreUnavailable, match="TLS certificate is not accepted") as given_up:
            await Outage(5).wait_out(ask)
        assert "ssl_ca_certs" in given_up.value.hint

    run_in_virtual_time(body)


def test_an_attempt_gets_a_second_however_short_the_patience() -> None:
    async def body() -> None:
        began_at = now()
        with pytest.raises(StoreUnavailable):
            await Outage(0).wait_out(FailingRedis(None, for_ever=True).ask)
        assert now() - began_at >= LAST_TRY_S
        assert await Outage(0).wait_out(FailingRedis().ask) == "answer"
        redis = FailingRedis(AWAY, for_ever=True)
        with pytest.raises(StoreUnavailable):
            await Outage(0).wait_out(redis.ask)
        assert len(redis.attempts) == 1

    run_in_virtual_time(body)


def test_without_end_means_without_end() -> None:
    async def body() -> None:
        waiting = asyncio.create_task(Outage(math.inf).wait_out(FailingRedis(AWAY, for_ever=True).ask))
        await asyncio.sleep(3600)
        assert not waiting.done()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    run_in_virtual_time(body)


@pytest.mark.parametrize("failure", [AWAY, None])
def test_a_command_that_waits_already_stops_in_time(failure: Exception | None) -> None:
    async def body() -> None:
        outage = Outage(math.inf)
        waiting = [asyncio.create_task(outage.wait_out(FailingRedis(failure, for_ever=True).ask)) for _ in range(3)]
        await asyncio.sleep(60)
        outage.stop_waiting(4)
        began_at = now()
        for one in waiting:
            with pytest.raises(StoreUnavailable):
                await one
        assert 3 < now() - began_at < 4.2

    run_in_virtual_time(body)


def test_after_that_each_command_gets_one_short_attempt() -> None:
    async def body() -> None:
        outage = Outage(math.inf)
        outage.stop_waiting(4)
        await asyncio.sleep(60)
        assert await outage.wait_out(FailingRedis().ask) == "answer"
        for failure, most in ((AWAY, 0.1), (None, LAST_TRY_S + 0.1)):
            redis, began_at = FailingRedis(failure, for_ever=True), now()
            with pytest.raises(StoreUnavailable):
                await outage.wait_out(redis.ask)
            assert now() - began_at <= most
            assert len(redis.attempts) == 1

    run_in_virtual_time(body)


def test_a_later_stop_does_not_lengthen_an_earlier_one() -> None:
    async def body() -> None:
        outage = Outage(math.inf)
        waiting = asyncio.create_task(outage.wait_out(FailingRedis(None, for_ever=True).ask))
        await asyncio.sleep(1)
        outage.stop_waiting(2)
        outage.stop_waiting(3600)
        began_at = now()
        with pytest.raises(StoreUnavailable):
            await waiting
        assert now() - began_at < 2.2

    run_in_virtual_time(body)


def test_an_attempt_whose_time_is_just_over_is_left_alone() -> None:
    async def body() -> None:
        outage = Outage(1)

        async def hang() -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                outage.stop_waiting(0)

        with pytest.raises(StoreUnavailable):
            await outage.wait_out(hang)

    run_in_virtual_time(body)


@pytest.mark.parametrize(
    "error", [redis_errors.ResponseError("WRONGTYPE"), ValueError("mine"), asyncio.CancelledError()]
)
def test_an_error_that_is_not_an_outage_is_raised_at_once(error: BaseException) -> None:
    async def body() -> None:
        attempts = []

        async def fail() -> None:
            attempts.append(now())
            raise error

        with pytest.raises(type(error)) as raised:
            await Outage(math.inf).wait_out(fail)
        assert raised.value is error
        assert len(attempts) == 1

    run_in_virtual_time(body)


def test_a_refusal_names_the_setting() -> None:
    async def body() -> None:
        refusal = redis_errors.AuthenticationError("invalid username-password pair or user is disabled.")
        with pytest.raises(ConfigurationError, match="REDIS_URL: invalid username-password pair"):
            await Outage(math.inf).wait_out(FailingRedis(refusal).ask)

    run_in_virtual_time(body)


# What is logged


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("segment_personas")]


async def two_outages(outage: Outage) -> None:
    waiting: list[Awaitable[str]] = [outage.wait_out(FailingRedis(*[AWAY] * 10).ask) for _ in range(3)]
    await asyncio.gather(*waiting)
    await outage.wait_out(FailingRedis().ask)


def test_an_outage_is_reported_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run_in_virtual_time(lambda: two_outages(Outage(math.inf)))
    lines = told(caplog)
    assert len(lines) == 2
    assert lines[0].startswith("Redis is not available (Error 111")
    assert lines[1] == "Redis is available again"


def test_a_hiccup_and_a_command_line_that_says_so_itself_are_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def hiccup() -> None:
        await Outage(math.inf).wait_out(FailingRedis(AWAY).ask)

    run_in_virtual_time(hiccup)
    run_in_virtual_time(lambda: two_outages(Outage(60)))
    assert told(caplog) == []
