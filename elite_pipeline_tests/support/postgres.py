"""A private Postgres server for the tests of an instance in production, on a free loopback port.

It is started when the first test asks for it and stopped at the end of the session. With
``TEST_POSTGRES_URL`` set, that server is used instead, and only databases with random names are made in
it. Without either, tests fail and say what to install; they are never skipped.
"""

import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from elite_pipeline_tests.support.mariadb import free_port

#: Not the driver that SQLAlchemy takes by itself: it changed from one of its versions to the next.
DRIVER = "postgresql+psycopg2"

#: Seconds until a start or a stop counts as failed.
_PATIENCE = 60

#: Each version's programs; the tests take the newest.
_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql/bin",
)

_HELP = """\
These tests need a Postgres server, and {missing} was found neither in PATH nor in the usual folders.
Install it (no running service is needed, the tests start their own): scripts/ensure-postgres does it, or
    Debian, Ubuntu:  apt-get install postgresql
    Fedora, RHEL:    dnf install postgresql-server
    Alpine:          apk add postgresql
    macOS:           brew install postgresql
or name an existing test server: TEST_POSTGRES_URL=postgresql://user:password@127.0.0.1:5432/postgres
(databases with random names are created in it and dropped again).
Tests without a server: pytest -m "not server"."""


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))


def find_program(name: str) -> Path:
    """Return one of Postgres' programs; fail the test when it is not installed."""
    folders = [found for pattern in _FOLDERS for found in Path("/").glob(pattern[1:])]
    for folder in sorted(folders, key=_version, reverse=True):
        if (folder / name).exists():
            return folder / name
    if found := shutil.which(name):
        return Path(found)
    pytest.fail(_HELP.format(missing=name), pytrace=False)


def _other_user() -> dict[str, Any]:
    """Return who runs the server: Postgres refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.fail("Postgres does not run as root, and there is neither a user postgres nor nobody.")


class PostgresServer:
    """A server that tests may make databases on.

    Attributes:
        url: Where it is, with a user that may make databases.
    """

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self._admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    @contextlib.contextmanager
    def database(self) -> Iterator[sa.URL]:
        """Make a fresh database and drop it afterwards, whoever is still connected to it."""
        name = f"test_{secrets.token_hex(6)}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self.url.set(database=name)
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        """Close the administrator's connections."""
        self._admin.dispose()


class PrivatePostgres(PostgresServer):
    """A server of our own.

    Args:
        folder: Where its data are to be; the user who runs it can get there.
    """

    def __init__(self, folder: Path) -> None:
        self._who = _other_user()
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._port = free_port()
        if self._who:
            os.chown(folder, self._who["user"], self._who["group"])
        self._make()
        super().__init__(
            sa.URL.create(
                DRIVER,
                username="postgres",
                # any will do for this server; who takes one from the settings needs one
                password="unused",
                host="127.0.0.1",
                port=self._port,
                database="postgres",
            )
        )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(str(find_program("postgres")), "-D", str(self._data), "-p", str(self._port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                    # nothing here outlives the tests
                    *(
                        "-c",
                        "fsync=off",
                        "-c",
                        "synchronous_commit=off",
                        "-c",
                        "full_page_writes=off",
                    ),
                    *("-c", "shared_buffers=32MB", "-c", "dynamic_shared_memory_type=mmap"),
                    *("-c", "max_connections=100", "-c", "autovacuum=off", "-c", "jit=off"),
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._who,
            )
        self._wait_until_ready()

    def _make(self) -> None:
        done = subprocess.run(
            [
                *(str(find_program("initdb")), "-D", str(self._data), "--username=postgres"),
                *("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"),
            ],
            cwd=self._data.parent,
            capture_output=True,
            text=True,
            check=False,
            **self._who,
        )
        if done.returncode:
            pytest.fail(f"initdb failed:\n{done.stdout}\n{done.stderr}", pytrace=False)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                tail = self._log.read_text(errors="replace")[-3000:]
                pytest.fail(f"postgres did not start; the end of its log:\n{tail}", pytrace=False)
            try:
                self._admin.connect().close()
            except sa.exc.OperationalError:
                time.sleep(0.05)
            else:
                return

    def close(self) -> None:
        """Stop the server (by its handle) and wait for its end."""
        super().close()
        if self._process.poll() is None:
            # «fast»: connections are closed, not waited for
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Hand out a Postgres server."""
    if url := os.environ.get("TEST_POSTGRES_URL"):
        server = PostgresServer(sa.make_url(url).set(drivername=DRIVER))
        yield server
        server.close()
        return
    # pytest's own folders are closed to the user who runs it
    with tempfile.TemporaryDirectory(prefix="elite-pipeline-postgres-") as folder:
        private = PrivatePostgres(Path(folder))
        yield private
        private.close()
