"""Logging of workers and of the HTTP API: plain lines, or one JSON object a line (`LOG_FORMAT=json`).

What a line is about (the sync, its space and the job) is kept in a context variable, so that a line that knows nothing
of syncs, such as that of an outage of Redis, names the job that met it. An error is shown by its type and the places in
the code, never by its text, because that might quote a profile.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

from worker.printable import PrintableFormatter
from worker.secret_masking import mask

LogFormat = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_ABOUT = ("sync", "space", "job")
_about: ContextVar[Mapping[str, str]] = ContextVar("log_about", default={})  # noqa: B039 - never changed in place


@contextmanager
def log_about(**about: str) -> Iterator[None]:
    """Names `sync`, `space` or `job` on every line of the block, in tasks that it starts too."""
    token = _about.set({**_about.get(), **about})
    try:
        yield
    finally:
        _about.reset(token)


def stack_of(error: BaseException) -> list[str]:
    """Returns the places in the code that an error passed, outermost first, without its text."""
    return [f"{place.filename}:{place.lineno} in {place.name}" for place in traceback.extract_tb(error.__traceback__)]


class JsonFormatter(logging.Formatter):
    """Writes a line as a JSON object with what it is about; of an error, its type and stack.

    Args:
        worker: The process, such as `host:pid`.
    """

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line. Secrets of this process are masked."""
        about = _about.get()
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
            **{name: about.get(name) for name in _ABOUT},
            "worker": self._worker,
        }
        error = record.exc_info[1] if record.exc_info else getattr(record, "error", None)
        if isinstance(error, BaseException):
            line["error"] = {"type": type(error).__name__, "stack": stack_of(error)}
        return json.dumps(line)


def configure_logging(level: str, log_format: LogFormat) -> None:
    """Sends log lines to standard error; those of libraries only from warnings on.

    Args:
        level: The lowest level of our lines.
        log_format: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    is_json = log_format == "json"
    handler.setFormatter(
        JsonFormatter(f"{socket.gethostname()}:{os.getpid()}") if is_json else PrintableFormatter(_TEXT)
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=is_json)
    logging.getLogger("segment_personas").setLevel(level)
