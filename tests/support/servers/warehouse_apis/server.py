"""What the local servers for warehouses share: HTTP in a thread, and statements that a test controls."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Kind = Literal["int", "float", "text"]
Answer = tuple[int, dict[str, Any]]


@dataclass
class Statement:
    """A statement that was submitted.

    Attributes:
        looks: How often its state is still asked for before it succeeds or fails; None: it runs until it is cancelled.
        failure: As the warehouse names it; None: it succeeds.
    """

    id: str
    sql: str
    label: str
    looks: int | None
    failure: str | None
    cancelled: bool = False

    def state(self) -> Literal["running", "succeeded", "failed", "cancelled"]:
        """The state, as an answer that counts as a look."""
        if self.cancelled:
            return "cancelled"
        if self.looks is None or self.looks > 0:
            self.looks = None if self.looks is None else self.looks - 1
            return "running"
        return "failed" if self.failure else "succeeded"


@dataclass
class Script:
    """What the server does.

    Attributes:
        results: Part of a statement → its columns and rows; the first that the text contains counts.
        looks: Of statements that are submitted from now on.
        failure: Likewise.
        refuse: A status and the name of an error; every request is answered with it.
    """

    results: dict[str, tuple[dict[str, Kind], Sequence[tuple[Any, ...]]]] = field(default_factory=dict)
    looks: int | None = 1
    failure: str | None = None
    refuse: tuple[int, str] | None = None


class WarehouseApi:
    """Base of the servers. A subclass answers requests in `answer`."""

    def __init__(self) -> None:
        self.script = Script()
        self.statements: dict[str, Statement] = {}
        self._numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.port = 0

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], login: str) -> Answer:
        """Returns the status and the JSON of an answer."""
        raise NotImplementedError

    def submit(self, sql: str, label: str, id_: str | None = None) -> Statement:
        """Notes a new statement."""
        number = next(self._numbers)
        id_ = id_ or f"01b2c3d4-0000-1111-0000-{number:012d}"
        made = Statement(id_, sql, label, self.script.looks, self.script.failure)
        self.statements[id_] = made
        return made

    def result(self, statement: Statement) -> tuple[dict[str, Kind], Sequence[tuple[Any, ...]]]:
        """Columns and rows of a statement."""
        for part, found in self.script.results.items():
            if part in statement.sql:
                return found
        return {"n": "int"}, []


@contextmanager
def running(api: WarehouseApi) -> Iterator[WarehouseApi]:
    """Serves on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                content = gzip.decompress(content)
            url = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            body = json.loads(content) if content.strip().startswith(b"{") else {}
            with api.lock:
                status, found = api.answer(self.command, url.path, query, body, self.headers.get("Authorization") or "")
            text = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = respond

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
