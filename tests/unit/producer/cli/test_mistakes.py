"""What a mistake of the user is answered with: one sentence, a hint, and an exit code."""

from __future__ import annotations

import json
import math
import socket
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from producer.cli.declarations.usage_errors import seconds_of, share_of
from tests.support.processes.cli_in_process import run_in_process

pytestmark = pytest.mark.usefixtures("bare_environment")

EMPTY = str(Path(__file__).with_name("__init__.py"))

NO_REDIS = {"REDIS_URL": "redis://127.0.0.1:1"}
"""A command that connects before it checks its arguments fails with exit code 4."""

MISTAKES: Mapping[str, tuple[tuple[str, ...], dict[str, str], str]] = {
    "no command": ((), {}, "Usage:"),
    "unknown command": (("snyc",), {}, "No such command 'snyc'"),
    "unknown option": (("sync", "--fast"), {}, "No such option"),
    "no such number": (("sync", "a", "--max-profiles", "0"), {}, "--max-profiles"),
    "no such mode": (("sync", "a", "--mode", "delete"), {}, "must be one of: upsert, create"),
    "no space": (("sync",), {}, "No space is given"),
    "bad space": (("sync", "a b"), {}, "'a b' is not a valid space id"),
    "bad default space": (("sync",), {"SEGMENT_SPACE_ID": "../x"}, "'../x' is not a valid space id"),
    "an id that is not text": (("status", "syn_\udcff"), {}, r"'syn_\udcff': this argument is not valid"),
    "a key that is not text": (
        ("sync", "a", "--idempotency-key", "\udcff"),
        {},
        r"'\udcff': this argument is not valid",
    ),
    "a space as a sync": (("status", "spa_1"), NO_REDIS, "sync ids begin with syn_"),
    "an empty sync id": (("cancel", ""), NO_REDIS, "'' is not a valid sync id"),
    "a name as a schedule": (("schedule", "pause", "nightly"), NO_REDIS, "schedule ids begin with sch_"),
    "bad space of a history": (("history", "a b"), NO_REDIS, "'a b' is not a valid space id"),
    "bad rules of a history": (("history", "a", "--rules", "a b"), NO_REDIS, "--rules: 'a b' is not a valid name"),
    "bad space of personas": (("personas", "list", "a b"), NO_REDIS, "'a b' is not a valid space id"),
    "an empty persona id": (("personas", "adopt", "a", "growth", ""), NO_REDIS, "'' is not a valid persona id"),
    "a bad new key": (("personas", "rename", "a", "growth", "A"), NO_REDIS, "'A' is not a valid cluster key"),
    "an empty key": (("sync", "a", "--idempotency-key", ""), NO_REDIS, "--idempotency-key: must be 1 to 255"),
    "four cron fields": (("schedule", "add", "a", "0 3 * *"), NO_REDIS, "A cron expression has five fields"),
    "a wrong hour": (("schedule", "add", "a", "0 25 * * *"), NO_REDIS, "The hour of the cron expression"),
    "no such zone": (("schedule", "add", "a", "0 3 * * *", "--timezone", "Mars"), NO_REDIS, "The time zone 'Mars'"),
    "an alert after years": (
        ("schedule", "add", "a", "0 3 * * *", "--alert-after", "9999d"),
        NO_REDIS,
        "alert_after_s: must be a number from 3,600",
    ),
    "space twice": (("sync", "a", "b", "a"), {}, "a: named more than once."),
    "one key for two": (("sync", "a", "b", "--idempotency-key", "k"), {}, "--idempotency-key is for one sync"),
    "accepted too early": (("sync", "a", "--no-wait", "--accept"), {}, "--accept cannot be used with --no-wait"),
    "no worker to wait for": (("sync", "a", "--no-wait"), {}, "--no-wait needs a worker"),
    "nothing remembered": (
        ("sync", "a", "--idempotency-key", "k", "--sandbox"),
        {},
        "--idempotency-key cannot be used with",
    ),
    "two spaces, one file": (("sync", "a", "b", "--from-file", "x"), {}, "--from-file holds the profiles of one space"),
    "two files": (("sync", "a", "--from-file", "x", "--from-file", "y"), {}, "--from-file takes one name; y cannot"),
    "shards": (("sync", "--from-file", "p-0.json", "p-1.json", "p-2.json"), {}, "p-1.json and 1 more cannot be given"),
    "shards after a space": (("sync", "spa_1", "--from-file", "p-0", "p-1"), {}, "p-1 cannot be given"),
    "shards in a preview": (("preview", "--from-file", "/x/p-0.gz", "/x/p-1.gz"), {}, "/x/p-1.gz cannot be given"),
    "a file that is there": (("sync", "--from-file", "p", EMPTY), {}, "put the pattern in quotes"),
    "two files to look at": (("suggest", "--from-file", "x", "--from-file", "y"), {}, "--from-file takes one name"),
    "shards to look at": (("suggest", "--from-file", "p-0.json", "p-1.json"), {}, "p-1.json cannot be given"),
    "a file as a space": (("sync", "profiles.ndjson"), {}, "Write --from-file profiles.ndjson"),
    "a file to look at as a space": (("suggest", "profiles.csv.gz"), {}, "Write --from-file profiles.csv.gz"),
    "dialect of a file": (
        ("sync", "a", "--from-file", "x", "--dialect", "inline"),
        {},
        "--dialect says how Segment is read",
    ),
    "class in a file": (("sync", "a", "--from-file", "x", "--trait-class", "audience"), {}, "--trait-class says how"),
    "fan-out of a file": (
        ("sync", "a", "--from-file", "x", "--strategy", "fan-out"),
        {},
        "--strategy fan-out says how Segment is read",
    ),
    "fan-out of another dialect": (
        ("sync", "a", "--dialect", "profile-api", "--strategy", "fan-out"),
        {},
        "--strategy: fan-out is for the dialect inline",
    ),
    "a class of traits of the list": (
        ("sync", "a", "--trait-class", "audience"),
        {"SEGMENT_DIALECT": "inline"},
        "--trait-class: only the dialect",
    ),
    "a class of traits, inline": (
        ("preview", "a", "--trait-class", "audience", "--dialect", "inline"),
        {},
        "--trait-class: only the dialect profile-api",
    ),
    "no such clusters file": (("sync", "a", "--clusters", "/none.toml"), {}, "The file /none.toml does not exist"),
    "no such file of CLUSTERS_FILE": (
        ("sync", "a"),
        {"CLUSTERS_FILE": "/none.toml"},
        "CLUSTERS_FILE: The file",
    ),
    "a directory as CLUSTERS_FILE": (("sync", "a"), {"CLUSTERS_FILE": "/"}, "CLUSTERS_FILE: / cannot be read"),
    "no such strategy": (("sync", "a", "--strategy", "tree"), {}, "must be one of: auto, chain, fan-out"),
    "no such file": (("sync", "a", "--from-file", "/none"), {}, "--from-file /none: No such file or directory."),
    "an empty file": (("sync", "a", "--from-file", EMPTY), {}, f"--from-file {EMPTY}: it is empty."),
    "no name of a file": (("sync", "a", "--from-file", ""), {}, "--from-file : No such file or directory."),
    "a name with a line in it": (
        ("sync", "a", "--from-file", "x\ny"),
        {"REDIS_URL": "redis://127.0.0.1:1"},
        "--from-file: this cannot be a file name.",
    ),
    "standard input for workers": (
        ("sync", "a", "--from-file", "-"),
        {"REDIS_URL": "redis://127.0.0.1:1"},
        "--from-file -: the workers cannot read",
    ),
    "a file without Mavera's key": (("sync", "a", "--from-file", "-"), {}, "MAVERA_API_KEY is not set"),
    "all as a sample": (("sync", "a", "--sample", "1"), {}, "--sample: must be a share above 0 and below 1"),
    "a sample fanned out": (
        ("sync", "a", "--sample", "0.1", "--strategy", "fan-out"),
        {},
        "--strategy: fan-out reads whole pages",
    ),
    "no share": (("sync", "a", "--sample", "nan"), {}, "--sample: must be a share above 0"),
    "embedded without keys": (("sync", "a"), {}, "SEGMENT_TOKEN, MAVERA_API_KEY are not set"),
    "malformed setting": (("sync", "a"), {"SEGMENT_RATE": "fast"}, "SEGMENT_RATE"),
    "malformed URL": (("list",), {"REDIS_URL": "localhost"}, "REDIS_URL"),
    "status without state": (("status", "syn_1"), {}, "No sync syn_1 is known"),
    "cancel without state": (("cancel", "syn_1"), {}, "No sync syn_1 is known"),
    "resume without state": (("resume", "syn_1"), {}, "No sync syn_1 is known"),
    "Redis is not there": (("list",), {"REDIS_URL": "redis://127.0.0.1:1"}, "Redis does not answer"),
    "sync, Redis is not there": (("sync", "a"), {"REDIS_URL": "redis://127.0.0.1:1"}, "Check REDIS_URL"),
    "worker without anything": (("worker",), {}, "SEGMENT_TOKEN, MAVERA_API_KEY are not set"),
    "worker without keys": (("worker",), {"REDIS_URL": "redis://127.0.0.1:1"}, "SEGMENT_TOKEN, MAVERA_API_KEY"),
    "worker, malformed": (("worker",), {"MAVERA_BASE_URL": "ftp://x"}, "MAVERA_BASE_URL"),
    "a malformed share": (("sync", "a", "--sample", "5p"), {}, "such as 0.05 or 5%"),
    "a malformed time": (("sync", "a", "--timeout", "soon"), {}, "such as 90, 30m or 2h"),
    "a negative time": (("status", "syn_a", "--timeout", "-1"), {}, "--timeout: must be a time in seconds"),
    "no profiles": (("sync", "a", "--max-profiles", "0"), {}, "must be at least 1"),
    "no number": (("list", "--limit", "x"), {}, "must be a whole number, such as 100"),
    "latency": (("sandbox", "--latency", "slow"), {}, "must be a number, such as"),
    "a malformed rate": (("list",), {"SEGMENT_RATE": "50/x"}, "SEGMENT_RATE: must be requests a second"),
    "no such fault": (("sandbox", "--fault", '{"api": "mars", "kind": "drop"}'), {}, "unknown api 'mars'"),
    "fault is not JSON": (("sandbox", "--fault", "drop"), {}, "--fault drop:"),
    "port out of range": (("sandbox", "--port", "70000"), {}, "--port"),
    "no such host": (("sandbox", "--host", "256.0.0.1", "--port", "0"), {}, "Cannot listen on 256.0.0.1:0: "),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_of_the_user_is_one_sentence_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    arguments, env, sentence = MISTAKES[mistake]
    code, out, err = run_in_process(capsys, monkeypatch, *arguments, **env)
    assert code == (4 if "Redis is not there" in mistake else 2)
    assert sentence in (out or err)
    assert not any(words in out + err for words in ("Input should", "unable to parse", "Value error", "String should"))
    assert out == "" or not arguments
    if "Usage:" not in out + err:
        assert len(err.splitlines()) <= 2  # what is wrong, and what to do


@pytest.mark.parametrize(
    ("given", "seconds"), [(None, math.inf), ("0", 0), ("90", 90), ("2h", 7200), ("1h30m", 5400), ("500ms", 0.5)]
)
def test_a_time_is_understood_with_its_unit(given: str | None, seconds: float) -> None:
    assert seconds_of(given) == seconds


@pytest.mark.parametrize(("given", "share"), [(None, None), ("0.05", 0.05), ("5%", 0.05), (" 12.5 % ", 0.125)])
def test_a_share_is_understood_as_percent(given: str | None, share: float | None) -> None:
    assert share_of(given) == share


def test_a_misspelt_setting_is_warned_of_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run_in_process(capsys, monkeypatch, "list", SEGMNT_RATE="7", REDIS_URL="redis://127.0.0.1:1")
    assert (code, out) == (4, "")
    assert err.count("SEGMNT_RATE is not a setting") == 1
    assert "did you mean SEGMENT_RATE?" in err


class _NoRedis(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while self.request.recv(1 << 16):
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_redis_url_that_leads_to_something_else_is_a_mistake_of_the_user(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _NoRedis) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"redis://127.0.0.1:{server.server_address[1]}"
        code, _, err = run_in_process(capsys, monkeypatch, "list", REDIS_URL=url)
        server.shutdown()
    assert code == 2
    message, hint = err.splitlines()
    assert message.startswith("Redis does not answer: ")
    assert "REDIS_URL" in hint


def test_a_port_that_is_taken_is_a_mistake_of_the_user(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run_in_process(capsys, monkeypatch, "sandbox", "--port", str(port))
    assert code == 2
    assert err.startswith(f"Cannot listen on 127.0.0.1:{port}: Address already in use.")


JSON_MISTAKES = {
    "no such option": (("list", "--json", "--fast"), {}, 2, "usage"),
    "Redis is down": (("list", "--json"), {"REDIS_URL": "redis://127.0.0.1:1"}, 4, "redis_unavailable"),
    "malformed setting": (("sync", "a", "--json"), {"SEGMENT_RATE": "fast"}, 2, "configuration"),
    "bad space": (("preview", "--json", "a b"), {}, 2, "configuration"),
}


@pytest.mark.parametrize("mistake", JSON_MISTAKES)
def test_with_json_an_error_is_one_document_on_stdout_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    arguments, env, expected, error_code = JSON_MISTAKES[mistake]
    code, out, err = run_in_process(capsys, monkeypatch, *arguments, **env)
    document = json.loads(out)
    assert (code, document["error"]["code"], out.count("\n")) == (expected, error_code, 1)
    assert document["error"]["message"].split()[0] in err
