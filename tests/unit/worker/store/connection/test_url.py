"""REDIS_URL: what is understood, and that nothing wrong in it goes unnoticed or shows a password."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.servers.tls import identity
from worker.errors import ConfigurationError
from worker.store import redis_pool
from worker.store.connection.url import make_connection_pool

SECRET = "hunter2"
ODD = "p@s s:w/o?r#d%[é]"


def options(url: str) -> dict[str, object]:
    """What a connection is made with."""
    return make_connection_pool(url, 5).connection_kwargs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://localhost", {"host": "localhost"}),
        ("redis://localhost/", {"host": "localhost"}),
        ("redis://10.0.0.1:6380/3", {"host": "10.0.0.1", "port": 6380, "db": 3}),
        ("redis://[::1]:6380/3/", {"host": "::1", "port": 6380, "db": 3}),
        ("REDIS://redis.example:6380?db=4", {"host": "redis.example", "port": 6380, "db": 4}),
        ("redis://:hunter2@localhost", {"password": SECRET}),
        ("redis://me:hunter2@localhost", {"username": "me", "password": SECRET}),
        ("redis://me@localhost", {"username": "me"}),
        ("redis://a%40b:c%40d%2Fe@localhost/1", {"username": "a@b", "password": "c@d/e", "db": 1}),
        (f"redis://:{quote(ODD, safe='')}@localhost", {"password": ODD}),
        ("redis://localhost?username=me&password=hunter2", {"username": "me", "password": SECRET}),
        ("redis://localhost?client_name=personas", {"client_name": "personas"}),
        ("unix:///run/redis.sock", {"path": "/run/redis.sock"}),
        ("unix:///run/redis.sock?db=2&password=hunter2", {"path": "/run/redis.sock", "db": 2, "password": SECRET}),
        ("unix://me:hunter2@/run/a%20b.sock", {"path": "/run/a b.sock", "username": "me", "password": SECRET}),
    ],
)
def test_every_part_of_a_url_is_understood(url: str, expected: dict[str, object]) -> None:
    found = options(url)
    assert {name: found.get(name) for name in expected} == expected


def test_time_outs_and_signs_of_life_are_ours() -> None:
    found = options("redis://localhost")
    assert found["socket_timeout"] == 5
    assert found["socket_connect_timeout"] == 2
    assert found["socket_keepalive"] is True
    assert found["health_check_interval"] == 30
    assert make_connection_pool("redis://localhost", 1).connection_kwargs["socket_connect_timeout"] == 1
    assert "socket_keepalive" not in options("unix:///run/redis.sock")


def context(url: str) -> ssl.SSLContext:
    made: ssl.SSLContext = make_connection_pool(url, 5).make_connection().ssl_context.get()
    return made


def test_tls_is_verified_with_its_host_name_unless_the_url_says_otherwise() -> None:
    assert (context("rediss://redis.example").verify_mode, context("rediss://redis.example").check_hostname) == (
        ssl.CERT_REQUIRED,
        True,
    )
    assert not context("rediss://redis.example?ssl_check_hostname=false").check_hostname
    open_to_all = context("rediss://redis.example?ssl_cert_reqs=none")
    assert (open_to_all.verify_mode, open_to_all.check_hostname) == (ssl.CERT_NONE, False)


def test_tls_files_are_read_at_once(tmp_path: Path) -> None:
    mine = identity(tmp_path)
    files = f"ssl_ca_certs={mine.certificate}&ssl_certfile={mine.certificate}&ssl_keyfile={mine.key}"
    found = context(f"rediss://127.0.0.1?{files}&ssl_ciphers=HIGH").get_ca_certs()
    assert any("personas.test" in str(one) for one in found)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "must begin"),
        ("hunter2", "must begin"),
        ("localhost:6379", "must begin"),
        ("http://:hunter2@localhost", "must begin"),
        ("redis:/localhost", "no host"),
        ("redis://", "no host"),
        ("redis://:hunter2@", "no host"),
        ("redis://:hunter2@:6379", "no host"),
        ("redis:///0", "no host"),
        ("redis://:hunter2@localhost:0", "no host"),
        ("redis://:hunter2@localhost:port", "port"),
        ("redis://:hunter2@localhost:99999", "port"),
        ("redis://:hunter2@localhost:-1", "port"),
        ("redis://:hunter2@localhost/zero", "database"),
        ("redis://:hunter2@localhost/-1", "database"),
        ("redis://:hunter2@localhost/1/2", "database"),
        ("redis://:hunter2@localhost/٣", "database"),
        ("redis://:hunter2@localhost?db=x", "db"),
        ("redis://:hunter2@localhost?db=-1", "db"),
        ("redis://:hunter2@localhost?db=", "db"),
        # passwords that are not encoded
        ("redis://:hunter2/x@localhost", "port"),
        ("redis://:1/hunter2@localhost", "no host"),
        ("redis://me:1/hunter2@localhost", "database"),
        ("redis://me:1?hunter2@localhost", "not known"),
        ("redis://me:1?hunter2=@localhost", "not known"),
        ("redis://me:1#hunter2@localhost", "#"),
        ("redis://:hunter2[x]@localhost", "not a URL"),
        ("redis://:[hunter2@localhost", "not a URL"),
        ("redis://:hunter2\u2100@localhost", "not a URL"),
        # what redis-py would take and we do not
        ("redis://:hunter2@localhost?socket_timeout=1", "socket_timeout"),
        ("redis://:hunter2@localhost?socket_connect_timeout=1", "socket_connect_timeout"),
        ("redis://:hunter2@localhost?socket_keepalive=no", "socket_keepalive"),
        ("redis://:hunter2@localhost?retry_on_timeout=yes", "retry_on_timeout"),
        ("redis://:hunter2@localhost?health_check_interval=1", "health_check_interval"),
        ("redis://:hunter2@localhost?decode_responses=true", "decode_responses"),
        ("redis://:hunter2@localhost?max_connections=1", "max_connections"),
        ("redis://:hunter2@localhost?protocol=3", "protocol"),
        ("redis://:hunter2@localhost?encoding=latin-1", "not known"),
        ("redis://:hunter2@localhost?nonsense=1", "not known"),
        ("redis://:hunter2@localhost?ssl_ca_certs=/etc/ca.pem", "without TLS"),
        ("unix://:hunter2@/run/redis.sock?ssl_cert_reqs=none", "without TLS"),
        ("unix://:hunter2@", "no socket"),
        ("unix:///run/redis.sock?db=x&password=hunter2", "db"),
        ("rediss://:hunter2@localhost?ssl_cert_reqs=perhaps", "ssl_cert_reqs"),
        ("rediss://:hunter2@localhost?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs=/nowhere/ca.pem: No such file"),
        ("rediss://:hunter2@localhost?ssl_ca_data=nonsense", "cannot be used"),
        ("rediss://:hunter2@localhost?ssl_ciphers=nonsense", "cannot be used"),
        ("rediss://:hunter2@localhost?ssl_certfile=/nowhere/a&ssl_keyfile=/nowhere/b", "/nowhere/a: No such"),
        ("rediss://:hunter2@localhost?ssl_certfile=/nowhere/a", "together"),
        ("rediss://:hunter2@localhost?ssl_min_version=TLSv1.3", "not known"),
        ("rediss://:hunter2@localhost?ssl_cert_reqs=none&ssl_check_hostname=true", "cannot be used"),
    ],
)
def test_a_malformed_url_is_refused_without_showing_it(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        redis_pool(url)
    message = f"{error.value} {error.value.hint}"
    assert "REDIS_URL" in message
    assert problem in message
    assert SECRET not in message
    assert error.value.__suppress_context__ or error.value.__context__ is None


@pytest.mark.parametrize("word", ["none", "NONE", "CERT_NONE", "cert_none", "ssl.CERT_NONE", "0", "false"])
def test_every_usual_word_for_no_check_of_certificates_is_understood(word: str) -> None:
    connection = redis_pool(f"rediss://localhost?ssl_cert_reqs={word}").connection_pool.make_connection()
    assert connection.ssl_context.get().verify_mode is ssl.CERT_NONE


@pytest.mark.parametrize("word", ["required", "CERT_REQUIRED", "2", "true"])
def test_every_usual_word_for_a_check_of_certificates_is_understood(word: str) -> None:
    connection = redis_pool(f"rediss://localhost?ssl_cert_reqs={word}").connection_pool.make_connection()
    context = connection.ssl_context.get()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
