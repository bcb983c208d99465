"""Errors as problem documents."""

from __future__ import annotations

import ast
import json
import logging
from pathlib import Path

import pytest
from aiohttp import web

from producer import SyncConflict, SyncNotFound
from producer.api.problems import PROBLEMS, Problem, problem_of
from tests.support.project.docs import ROOT, page, table
from worker.errors import ConfigurationError, StoreUnavailable, StoreUnusable


def document(problem: Problem) -> dict[str, object]:
    response = problem.response()
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    found: dict[str, object] = json.loads(response.body)
    assert (found["type"], found["status"]) == ("about:blank", response.status)
    return found


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SyncNotFound("no sync x is known"), 404, "sync_not_found"),
        (SyncConflict("it runs", code="sync_running", temporary=True), 409, "sync_running"),
        (SyncConflict("used", code="idempotency_key_used"), 422, "idempotency_key_used"),
        (StoreUnavailable("away"), 503, "redis_unavailable"),
        (StoreUnusable("a cluster"), 503, "redis_unavailable"),
        (ConfigurationError("CLUSTERS_FILE: malformed"), 500, "configuration"),
        (TimeoutError(), 503, "timeout"),
        (web.HTTPNotFound(), 404, "not_found"),
        (web.HTTPRequestEntityTooLarge(1, 2), 413, "body_too_large"),
    ],
)
def test_an_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    found = document(problem_of(error))
    assert (found["status"], found["code"]) == (status, code)


def test_a_client_may_try_again_what_passes() -> None:
    for error in (StoreUnavailable("away"), SyncConflict("it runs", code="sync_running", temporary=True)):
        assert problem_of(error).headers["Retry-After"] == "5"
    assert problem_of(SyncConflict("no", code="not_a_preview")).headers == {}


def test_a_conflict_names_its_sync_and_the_next_request() -> None:
    error = SyncConflict("it cannot go on", code="needs_restart", next_command=("resume", "syn_1", "--restart"))
    found = document(problem_of(error))
    assert (found["sync_id"], found["hint"]) == ("syn_1", 'Send {"restart": true} to read the space from the start.')


def test_the_allowed_methods_are_passed_on() -> None:
    problem = problem_of(web.HTTPMethodNotAllowed("PUT", ["GET", "POST"]))
    assert (problem.code, problem.headers["Allow"]) == ("method_not_allowed", "GET,POST")


def test_an_unexpected_error_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = document(problem_of(RuntimeError("with a secret")))
    assert found["code"] == "internal_error"
    assert "secret" not in json.dumps(found)
    assert "with a secret" in caplog.text


def test_every_code_that_the_api_uses_is_in_the_table() -> None:
    used: set[str] = set()
    for path in Path(ROOT / "producer" / "api").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "Problem"
                and isinstance(node.args[0], ast.Constant)
            ):
                used.add(node.args[0].value)
    assert used <= PROBLEMS.keys()
    assert len(used) > 10


def test_every_conflict_of_the_client_has_a_status() -> None:
    tree = ast.parse((ROOT / "producer" / "client.py").read_text())
    codes = {
        given.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SyncConflict"
        for given in node.keywords
        if given.arg == "code" and isinstance(given.value, ast.Constant)
    }
    assert codes
    assert codes <= PROBLEMS.keys()


def test_the_docs_list_every_code_with_its_status() -> None:
    rows = table(page("http-api"), "| code | status | meaning |")
    listed = {row[0].strip("`"): (int(row[1]), row[2]) for row in rows}
    assert listed == dict(PROBLEMS)
