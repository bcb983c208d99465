"""A real Redis that goes away in every way that it can, under a stream of commits: nothing lost, nothing double."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import redis.exceptions as redis_errors

from tests.support.scenarios.checks import until
from tests.support.servers.port import port_of_ones_own
from tests.support.servers.redis_server import RedisServer
from tests.support.servers.tls import identity, tls_front
from tests.support.syncs.syncs import PAGE, Syncs
from worker.errors import ConfigurationError, StoreUnavailable
from worker.models.sync import SyncState
from worker.store import StorePool, keys, redis_pool
from worker.store.connection.pool import closing
from worker.store.progress.sync_progress import new_token

FILLING = 300
"""Keys of over a kilobyte that make a start last for a minute, unless their delay is taken away."""
SLOW_START = ("--key-load-delay", "200000", "--loading-process-events-interval-bytes", "1024")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server that has on disk whatever it has answered to."""
    made = RedisServer(tmp_path, "--appendfsync", "always")
    made.start()
    yield made
    made.kill()


class Stream:
    """A walker that commits page after page, until told to stop. acknowledged: commits whose answer came."""

    def __init__(self, syncs: Syncs) -> None:
        self.syncs = syncs
        self.acknowledged = 0
        self._go_on = True

    async def run(self) -> None:
        lease = await self.syncs.lease(SyncState.FETCHING)
        at = replace(PAGE, seq=1, pages=1, profiles=200, aggregate=b".")
        while self._go_on:
            pages = at.pages + 1
            wanted = replace(at, cursor=f"c{pages}", pages=pages, profiles=200 * pages, aggregate=b"." * pages)
            at = await self.syncs.jobs.commit(lease, wanted, new_token())
            self.acknowledged += 1

    def stop(self) -> None:
        self._go_on = False

    async def moves(self, commits: int = 20) -> None:
        """Returns after so many further commits."""
        target = self.acknowledged + commits

        async def reached() -> bool:
            return self.acknowledged >= target

        await until(reached)

    async def stalls(self) -> None:
        """Returns when there has been no commit for a while."""
        seen = -1

        async def still() -> bool:
            nonlocal seen
            before, seen = seen, self.acknowledged
            await asyncio.sleep(0.3)
            return before == self.acknowledged

        await until(still)


# Ways to go away: each returns when Redis is back


async def restart(server: RedisServer, stream: Stream) -> None:
    await asyncio.to_thread(server.stop)
    await stream.stalls()
    await asyncio.to_thread(server.start)


async def die(server: RedisServer, stream: Stream) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def hang(server: RedisServer, stream: Stream) -> None:
    server.pause()
    await asyncio.sleep(1.2)  # more than two time-outs: the same commit now waits in several connections
    server.go_on()


async def run_out_of_memory(server: RedisServer, stream: Stream) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 1)
        await stream.stalls()
        client.config_set("maxmemory", 0)


async def become_a_replica(server: RedisServer, stream: Stream) -> None:
    with server.client() as client:
        client.execute_command("REPLICAOF", "127.0.0.1", str(port_of_ones_own()))
        await stream.stalls()
        client.execute_command("REPLICAOF", "NO", "ONE")


async def miss_its_replicas(server: RedisServer, stream: Stream) -> None:
    with server.client() as client:
        client.config_set("min-replicas-to-write", 1)
        await stream.stalls()
        client.config_set("min-replicas-to-write", 0)


async def be_busy(server: RedisServer, stream: Stream) -> None:
    with server.client() as client, server.client() as other:
        client.config_set("busy-reply-threshold", 20)
        endless = asyncio.create_task(asyncio.to_thread(client.eval, "while true do end", 0))
        await stream.stalls()
        other.execute_command("SCRIPT", "KILL")
        with pytest.raises(redis.ResponseError, match="killed"):
            await endless


async def load_slowly(server: RedisServer, stream: Stream) -> None:
    with server.client() as client:
        client.mset({f"filling:{number}": os.urandom(1100) for number in range(FILLING)})
        client.bgrewriteaof()

        async def rewritten() -> bool:
            return client.info("persistence")["aof_rewrite_in_progress"] == 0

        await until(rewritten)
    await asyncio.to_thread(server.kill)
    starting = asyncio.create_task(asyncio.to_thread(server.start, *SLOW_START))
    seen: set[str] = set()

    async def started() -> bool:
        with server.client() as client, contextlib.suppress(redis.RedisError):
            try:
                client.ping()
            except redis_errors.BusyLoadingError as error:
                seen.add(str(error))
                client.config_set("key-load-delay", 0)
        return starting.done()

    await until(started)
    await starting
    assert any("loading" in words for words in seen)


async def drop_connections(server: RedisServer, stream: Stream) -> None:
    with server.client() as client:
        for _ in range(20):
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await stream.moves(1)


@pytest.mark.parametrize(
    "fault",
    [
        *(restart, die, hang, run_out_of_memory, become_a_replica),
        *(miss_its_replicas, be_busy, load_slowly, drop_connections),
    ],
    ids=lambda fault: fault.__name__,
)
async def test_a_stream_of_commits_comes_through_exact(
    server: RedisServer, fault: Callable[[RedisServer, Stream], Awaitable[None]]
) -> None:
    async with closing(redis_pool(server.url, timeout_s=0.5)) as pool:
        stream = Stream(Syncs(pool))
        running = asyncio.create_task(stream.run())
        await stream.moves()
        await fault(server, stream)
        await stream.moves()
        stream.stop()
        await running

        sync = await stream.syncs.get()
        assert sync.pages == 1 + stream.acknowledged
        assert sync.aggregate == b"." * sync.pages
        assert (sync.state, sync.epoch, sync.profiles) == (SyncState.FETCHING, 1, 200 * sync.pages)
        assert int(await pool.hget(keys.sync("s1"), "seq")) == 1 + stream.acknowledged


# The end of patience


async def assert_gives_up(pool: StorePool) -> None:
    answers = await asyncio.gather(
        *(pool.ping(), pool.get("key"), pool.pipeline().get("key").execute(), Syncs(pool).create()),
        return_exceptions=True,
    )
    for answer in answers:
        assert isinstance(answer, StoreUnavailable)
        assert "REDIS_URL" in answer.hint


async def test_a_redis_that_is_not_there_is_given_up_after_patience() -> None:
    async with closing(redis_pool(f"redis://127.0.0.1:{port_of_ones_own()}", max_wait_s=0.1)) as pool:
        await assert_gives_up(pool)


async def test_a_redis_that_hangs_is_given_up_after_patience(server: RedisServer) -> None:
    async with closing(redis_pool(server.url, max_wait_s=0.1)) as pool:
        await pool.ping()
        server.pause()
        try:
            await assert_gives_up(pool)
        finally:
            server.go_on()


async def test_a_redis_that_takes_no_writes_is_given_up_after_patience(server: RedisServer) -> None:
    async with closing(redis_pool(server.url, max_wait_s=0.1)) as pool:
        for setting, value in (("maxmemory", 1), ("min-replicas-to-write", 1)):
            await pool.config_set(setting, value)
            with pytest.raises(StoreUnavailable):
                await Syncs(pool).create()
            with pytest.raises(StoreUnavailable):
                await pool.pipeline().set("key", "value").execute()
            await pool.config_set(setting, 0)


async def test_a_worker_that_stops_does_not_wait_for_a_hung_redis(server: RedisServer) -> None:
    async with closing(redis_pool(server.url)) as pool:
        await pool.ping()
        server.pause()
        try:
            waiting = [asyncio.create_task(pool.get(f"key {number}")) for number in range(30)]
            await asyncio.sleep(0.1)
            began_at = time.monotonic()
            pool.outage.stop_waiting(0.1)
            answers = await asyncio.gather(*waiting, pool.get("one more"), return_exceptions=True)
            # Thirty commands that each waited for a connection of their own would take minutes.
            assert time.monotonic() - began_at < 15
            assert {type(answer) for answer in answers} == {StoreUnavailable}
        finally:
            server.go_on()
        assert await pool.ping()


async def test_a_waiting_worker_is_woken_also_after_a_restart(server: RedisServer) -> None:
    async with closing(redis_pool(server.url)) as pool:
        syncs = Syncs(pool)
        waiting = asyncio.create_task(syncs.queue.wait_for_job(3))
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await syncs.create()
        assert await waiting
        assert len((await syncs.queue.take_jobs(1, 60)).jobs) == 1


# Transactions


async def test_a_transaction_is_sent_again_as_a_whole(server: RedisServer) -> None:
    async with closing(redis_pool(server.url)) as pool:
        pipe = pool.pipeline(transaction=True)
        pipe.set("key", "value")
        pipe.get("key")
        await asyncio.to_thread(server.stop)
        executing = asyncio.create_task(pipe.execute())
        await asyncio.sleep(0.1)
        assert not executing.done()
        await asyncio.to_thread(server.start)
        assert await executing == [True, b"value"]
        assert await pipe.execute() == []


async def test_a_transaction_that_watches_is_left_to_its_caller(server: RedisServer) -> None:
    async with closing(redis_pool(server.url)) as pool:
        async with pool.pipeline(transaction=True) as pipe:
            await pipe.watch("key")
            pipe.multi()
            pipe.set("key", "mine")
            await pool.set("key", "another's")
            with pytest.raises(redis_errors.WatchError):
                await pipe.execute()
        assert await pool.get("key") == b"another's"


# Who may come in


PASSWORD = "p@s s:w/o?r#d"
ENCODED = "p%40s%20s%3Aw%2Fo%3Fr%23d"


@pytest.fixture
def locked(server: RedisServer) -> RedisServer:
    """A server with a password, and a user who may only look."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "guest", "on", ">guest", "~*", "+get", "+ping", "+select")
        client.config_set("requirepass", PASSWORD)
    return server


@pytest.mark.parametrize("user", ["", "default"])
async def test_a_password_with_odd_characters_opens_the_door(locked: RedisServer, user: str) -> None:
    async with closing(redis_pool(f"redis://{user}:{ENCODED}@127.0.0.1:{locked.port}/3", max_wait_s=5)) as pool:
        assert await pool.set("key", "value")
        assert (await pool.client_info())["db"] == 3


@pytest.mark.parametrize("who", ["", ":wrong@", "nobody:guest@", "guest:wrong@"])
@pytest.mark.parametrize("max_wait_s", [5, math.inf])
async def test_a_wrong_password_is_a_wrong_setting_at_once(locked: RedisServer, who: str, max_wait_s: float) -> None:
    async with closing(redis_pool(f"redis://{who}127.0.0.1:{locked.port}", max_wait_s=max_wait_s)) as pool:
        for command in (pool.ping(), pool.pipeline().get("key").execute(), Syncs(pool).create()):
            with pytest.raises(ConfigurationError, match="Redis refuses the user, password or database") as error:
                await command
            assert "wrong" not in str(error.value)


async def test_a_password_where_none_is_set_is_a_wrong_setting(server: RedisServer) -> None:
    async with closing(redis_pool(f"redis://:secret@127.0.0.1:{server.port}")) as pool:
        with pytest.raises(ConfigurationError, match="REDIS_URL"):
            await pool.ping()


async def test_a_user_without_the_rights_is_a_wrong_setting(locked: RedisServer) -> None:
    async with closing(redis_pool(f"redis://guest:guest@127.0.0.1:{locked.port}")) as pool:
        assert await pool.ping()
        with pytest.raises(ConfigurationError, match="no permissions"):
            await Syncs(pool).create()
        with pytest.raises(ConfigurationError, match="no permissions"):
            await Syncs(pool).queue.wait_for_job(0.1)


async def test_a_database_that_does_not_exist_is_a_wrong_setting(server: RedisServer) -> None:
    async with closing(redis_pool(f"redis://127.0.0.1:{server.port}/99")) as pool:
        with pytest.raises(ConfigurationError, match="out of range"):
            await pool.ping()


async def test_a_password_that_changes_meanwhile_ends_what_runs(server: RedisServer) -> None:
    async with closing(redis_pool(server.url)) as pool:
        stream = Stream(Syncs(pool))
        running = asyncio.create_task(stream.run())
        await stream.moves()
        with server.client() as client:
            client.config_set("requirepass", PASSWORD)
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(ConfigurationError):
            await running


# Other ways in


async def test_a_socket_is_a_way_in() -> None:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # pytest's own are too long for a socket's name
        socket = f"{folder}/redis.sock"
        server = RedisServer(Path(folder), "--unixsocket", socket)
        server.start()
        try:
            async with closing(redis_pool(f"unix://{socket}?db=2", max_wait_s=5)) as pool:
                assert await pool.set("key", "value")
                assert (await pool.client_info())["db"] == 2
        finally:
            server.kill()


async def test_tls_with_a_certificate_of_ones_own_is_a_way_in(server: RedisServer, tmp_path: Path) -> None:
    mine = identity(tmp_path)
    files = f"ssl_ca_certs={mine.certificate}&ssl_certfile={mine.certificate}&ssl_keyfile={mine.key}"
    async with (
        tls_front(server.port, mine, client=mine) as port,
        closing(redis_pool(f"rediss://127.0.0.1:{port}/1?{files}", max_wait_s=5)) as pool,
    ):
        assert await pool.set("key", "value")
        assert (await pool.client_info())["db"] == 1


async def test_tls_with_another_certificate_is_refused(server: RedisServer, tmp_path: Path) -> None:
    mine, other = identity(tmp_path), identity(tmp_path, elsewhere=True)

    async def assert_refused(options: str, word: str) -> None:
        async with closing(redis_pool(f"rediss://127.0.0.1:{port}{options}", max_wait_s=5)) as pool:
            with pytest.raises(StoreUnavailable, match=word):
                await pool.ping()

    async with tls_front(server.port, other) as port:
        await asyncio.gather(
            assert_refused("", "certificate verify failed"),
            assert_refused(f"?ssl_ca_certs={mine.certificate}", "certificate verify failed"),
            assert_refused(f"?ssl_ca_certs={other.certificate}", "IP address mismatch"),
        )
        for options in (f"?ssl_ca_certs={other.certificate}&ssl_check_hostname=no", "?ssl_cert_reqs=none"):
            async with closing(redis_pool(f"rediss://127.0.0.1:{port}{options}", max_wait_s=5)) as pool:
                assert await pool.ping()
