"""A PostgreSQL server of a test: one data directory, one port, no password on this machine, and ways to make it fail.

The programs are those of the machine. In CI, where `.ci/run` installs them, missing programs are an error;
elsewhere the test is skipped. PostgreSQL refuses to run as root, so root starts it as the user `postgres`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.servers.port import port_of_ones_own
from tests.support.servers.redis_server import in_ci

BINARIES = Path("/usr/lib/postgresql")
USER = "postgres"


class PostgresServer:
    """Runs until `stop` or `kill`, and can be started again on the same port with the same data.

    Args:
        folder: Its data directory, as `new_data_folder` makes it.
    """

    def __init__(self, folder: Path) -> None:
        self.port = port_of_ones_own()
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, user: str = USER, password: str = "", database: str = "postgres") -> str:
        """Returns the URL of a database."""
        name = f"{user}:{password}" if password else user
        return f"postgresql://{name}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Returns a connection of the superuser that commits each statement."""
        return psycopg.connect(self.url(database=database), autocommit=True)

    def require_password(self, user: str) -> None:
        """Demands the password of a user, and returns when the server does."""
        rules = self.folder / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        with self.connect() as connection:
            connection.execute("SELECT pg_reload_conf()")
        while True:
            try:
                psycopg.connect(self.url(user, "not-the-password")).close()
            except psycopg.OperationalError:
                return
            time.sleep(0.02)

    def start(self) -> None:
        """Starts the server and returns when it accepts connections."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": "30",
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = _run(str(_binary("postgres")), "-D", str(self.folder), "-p", str(self.port), *arguments)
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise RuntimeError(f"postgres ended with {self._process.returncode}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """A shutdown that ends running statements and is otherwise clean."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """An end without a shutdown, as after a power cut; all processes of the server end."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.wait(250)
        self._process = None


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Runs a new server, and ends it."""
    with new_data_folder() as folder:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def new_data_folder() -> Iterator[Path]:
    """Makes an empty data directory with the superuser `postgres`, and deletes it at the end.

    `initdb` runs once on a machine. What it made stays in the directory of temporary files, and is copied.
    """
    top = Path(tempfile.mkdtemp(prefix="segment-personas-postgres-"))
    _give(top)
    folder = top / "data"
    try:
        _run("cp", "-r", str(_template()), str(folder)).wait()
        folder.chmod(0o700)
        yield folder
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _template() -> Path:
    initdb = _binary("initdb")
    folder = Path(tempfile.gettempdir()) / f"segment-personas-initdb{str(initdb).replace('/', '-')}-{os.geteuid()}"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = Path(tempfile.mkdtemp(prefix="segment-personas-initdb-"))
            _give(made)
            options = ("--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
            if _run(str(initdb), "-D", str(made), *options).wait():
                raise RuntimeError("initdb failed")
            made.rename(folder)
    return folder


def _binary(name: str) -> Path:
    found = sorted(BINARIES.glob(f"*/bin/{name}"))
    on_path = shutil.which(name)
    if found or on_path:
        return found[-1] if found else Path(on_path or "")
    reason = "the tests of warehouses need PostgreSQL: apt-get install postgresql"
    if in_ci():
        raise RuntimeError(reason)
    pytest.skip(reason)


def _run(*command: str) -> subprocess.Popen[bytes]:
    user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **user)  # type: ignore[call-overload, no-any-return]


def _give(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, USER, USER)
