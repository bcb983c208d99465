"""Where the command line writes: readers that go away, encodings, log lines, texts of strangers."""

from __future__ import annotations

import io
import json
import logging
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from producer.cli.terminal import Screen, show_log, stderr, stdout
from tests.support.processes.command_line import Done, logging_as_it_was, shell
from worker.errors import ConfigurationError
from worker.printable import PrintableFormatter, json_text, printable


def test_a_reader_that_has_gone_causes_no_error() -> None:
    read, write = os.pipe()
    with os.fdopen(write, "w") as stream:
        screen = Screen(stream)
        os.close(read)
        screen.write("first")
        screen.print_views(Text("second"))
        screen.print_text("third")


def test_a_result_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as stream, pytest.raises(ConfigurationError, match=r"^The result .*: No space left on"):
        Screen(stream, must_write=True).write("result")
    with open("/dev/full", "w") as stream:
        screen = Screen(stream)
        screen.print_text("remark")
        screen.print_views(Text("another"))


async def test_a_command_survives_outputs_that_are_closed_or_full() -> None:
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "SEGMENT_PERSONAS_ENV_FILE": ""}
    assert await shell("$P clusters show --json 2>&-", env, real=True) == await shell(
        "$P clusters show --json", env, real=True
    )
    assert await shell("$P clusters show --json >&-", env, real=True) == Done(0, "", "")
    assert await shell("$P clusters show --json >&- 2>&-", env, real=True) == Done(0, "", "")
    sentence = "The result cannot be written: No space left on device.\n"
    assert await shell("$P clusters show --json >/dev/full", env, real=True) == Done(2, "", sentence)
    assert await shell("$P clusters show --json >/dev/full 2>/dev/full", env, real=True) == Done(2, "", "")


def test_text_for_programs_is_written_unchanged() -> None:
    stream = io.StringIO()
    Screen(stream).write("[bold] :smile: " + "x" * 500)
    assert stream.getvalue() == "[bold] :smile: " + "x" * 500 + "\n"


def test_a_file_is_written_wide_unless_columns_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert Screen(io.StringIO()).width >= 500
    monkeypatch.setenv("COLUMNS", "50")
    assert Screen(io.StringIO()).width == 50


def test_what_could_steer_a_terminal_is_not_printed() -> None:
    assert printable("401 \x1b]0;owned\x07 ünï\u202ecode\nnext") == "401 �]0;owned� ünï�code\nnext"


def test_an_encoding_without_the_character_gets_a_question_mark() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Screen(stream).write("waiting…")
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue() == b"waiting?\n"


def test_log_lines_go_through_the_screen_and_libraries_only_report_errors() -> None:
    stream = io.StringIO()
    with logging_as_it_was():
        show_log(Screen(stream), "INFO")
        logging.getLogger("segment_personas.worker").info("takes [jobs]")
        logging.getLogger("segment_personas.worker").debug("not asked for")
        logging.getLogger("a_library").warning("noise")
        logging.getLogger("asyncio").error("Task was destroyed")
    assert "INFO    segment_personas.worker: takes [jobs]\n" in stream.getvalue()
    assert "Task was destroyed" in stream.getvalue()
    assert "noise" not in stream.getvalue()
    assert "not asked for" not in stream.getvalue()


def test_results_and_remarks_have_a_stream_each(capsys: pytest.CaptureFixture[str]) -> None:
    stdout().write("result")
    stderr().print_text("remark")
    assert capsys.readouterr() == ("result\n", "remark\n")
    assert sys.stdout is not sys.stderr


HOSTILE = "\x1b]52;c;aGk=\x1b\\ \x1b[2J \x9b31m \u202eabc \u200b\x00\x07\r\x08\x7f"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_view_prints_terminal_control_sequences(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal  # type: ignore[method-assign]
    screen = Screen(stream)
    table = Table(title=HOSTILE, caption=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    table.add_row(Text(HOSTILE, "red"))
    screen.print_views(table, Group(HOSTILE, Text(HOSTILE)), Panel(HOSTILE))
    screen.print_text(HOSTILE)
    screen.print(f"{HOSTILE} [y/N] ", end="")
    if is_terminal:
        screen.write(HOSTILE)
    assert "abc" in stream.getvalue()
    assert not set("\x1b\x9b\u202e\u200b\x00\x07\x08\x7f\r") & set(stream.getvalue())


@given(st.recursive(st.text() | st.none() | st.integers(), lambda inner: st.dictionaries(st.text(), inner, max_size=3)))
def test_json_is_printable_and_means_the_same(value: object) -> None:
    text = json_text(value)
    assert text.isprintable()
    assert json.loads(text) == value


@given(st.text())
def test_what_is_shown_is_printable_but_for_lines_and_tabs(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert shown.replace("\n", "").replace("\t", "").isprintable()


def test_a_line_of_a_workers_log_is_printable() -> None:
    record = logging.LogRecord("segment_personas", logging.INFO, __file__, 1, "said %s", (HOSTILE,), None)
    line = PrintableFormatter("%(name)s: %(message)s").format(record)
    assert line.startswith("segment_personas: said �]52")
    assert line.isprintable()
