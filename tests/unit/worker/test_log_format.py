"""Log lines as JSON: what each is about, without secrets and without the text of an error."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from worker.jobs.job_payloads import batch_payload, sync_id_of, sync_payload
from worker.log_format import JsonFormatter, configure_logging, log_about
from worker.models.sync import BatchKey
from worker.secret_masking import keep_secret


def test_a_line_names_sync_space_job_and_worker() -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "read %d\n\x1b[2J", "args": (3,), "levelname": "INFO"})
    with log_about(sync="syn_1", job="syn_1:walk:1"), log_about(space="spa"):
        line = JsonFormatter("host:7").format(record)
    assert line.isprintable()
    fields = json.loads(line)
    assert fields["message"] == "read 3\n\x1b[2J"
    assert [fields[name] for name in ("sync", "space", "job", "worker")] == ["syn_1", "spa", "syn_1:walk:1", "host:7"]
    outside = json.loads(JsonFormatter("host:7").format(record))
    assert [outside[name] for name in ("sync", "space", "job", "worker")] == [None, None, None, "host:7"]


def test_an_error_is_a_stack_without_its_text_and_secrets_are_masked() -> None:
    keep_secret("a-secret-of-a-test")
    try:
        raise ValueError("a profile's value")
    except ValueError as error:
        given = {"msg": "a-secret-of-a-test", "exc_info": sys.exc_info()}
        marked = {"msg": "m", "error": error}
    for fields in (given, marked):
        line = JsonFormatter("w").format(logging.makeLogRecord(fields))
        assert "a profile's value" not in line
        assert "a-secret" not in line
        shown = json.loads(line)["error"]
        assert shown["type"] == "ValueError"
        assert "test_log_format.py" in shown["stack"][0]


def test_json_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    logging.getLogger("segment_personas.worker").info("ready")
    assert json.loads(capsys.readouterr().err)["message"] == "ready"


def test_libraries_are_heard_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "json")
    for name in ("segment_personas.jobs", "sqlglot", "snowflake.connector", "google.cloud.bigquery"):
        for level in (logging.INFO, logging.WARNING):
            logging.getLogger(name).log(level, "from %s", name)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["logger"] for line in lines if line["level"] == "INFO"] == ["segment_personas.jobs"]
    assert len(lines) == 5


def test_the_sync_of_a_job_id_is_what_precedes_its_kind() -> None:
    assert sync_id_of(sync_payload("a:walk:1", "finalize", 3).job_id) == "a:walk:1"
    assert sync_id_of(batch_payload(BatchKey("syn_1", 2, 3, 4)).job_id) == "syn_1"
