"""Private MariaDB servers for the tests, on free loopback ports; in memory, where there is room.

A server is started when the first test asks for it and stopped at the end of the session. With
``TEST_MYSQL_URL`` set, that server is used instead, and only databases with random names are made
in it. Without either, tests fail and say what to install; they are never skipped.
"""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa

STRICT = "STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE"
LAX = ""

#: Seconds until a start or a stop counts as failed.
_PATIENCE = 60

#: A file system in memory, on Linux.
_MEMORY = Path("/dev/shm")
#: Bytes that must be free there: several sessions' servers.
_ROOM = 2 << 30
#: Stands before the id of the session's process.
_PREFIX = "elite-pipeline-tests-"

_FOLDERS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/libexec",
    "/usr/local/bin",
    "/usr/local/mysql/bin",
    "/opt/homebrew/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/local/lib/mariadb/bin",
    "/usr/lib/mysql",
)

_HELP = """\
These tests need a MariaDB server, and {missing} was found neither in PATH nor in the usual folders.
Install it (no running service is needed, the tests start their own):
    Debian, Ubuntu:  apt-get install mariadb-server
    Fedora, RHEL:    dnf install mariadb-server
    Alpine:          apk add mariadb
    macOS:           brew install mariadb
or name an existing test server: TEST_MYSQL_URL=mysql+pymysql://root@127.0.0.1:3306/
(databases with random names are created in it and dropped again).
Tests without a server: pytest -m "not server"."""


def find_binary(*names: str) -> Path:
    """Return the first of some programs that is installed; fail the test when none is."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_FOLDERS))
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    pytest.fail(_HELP.format(missing=names[0]), pytrace=False)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _user_option() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _run(command: list[str], folder: Path) -> None:
    # it starts a server, and that deletes what others have in the folder of temporary files
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    if done.returncode:
        pytest.fail(
            f"{command[0]} failed with status {done.returncode}:\n{done.stdout}\n{done.stderr}",
            pytrace=False,
        )


def make_template(folder: Path) -> Path:
    """Install an empty data directory, to be copied for each server."""
    data = folder / "template"
    _run(
        [
            str(find_binary("mariadb-install-db", "mysql_install_db")),
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--innodb-log-file-size=8M",
            *_user_option(),
        ],
        folder,
    )
    return data


@dataclass
class Server:
    """A database server that tests may use as they like.

    Attributes:
        url: Where it is, with a user that may do everything, without a database.
        sql_mode: The global mode, under which every new connection starts.
    """

    url: sa.URL
    sql_mode: str
    _admin: sa.Engine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._admin = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run one statement as the administrator and return its rows."""
        with self._admin.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []

    @contextlib.contextmanager
    def database(self) -> Iterator[sa.URL]:
        """Make a fresh database and drop it afterwards."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url.set(database=name)
        finally:
            self.execute(f"DROP DATABASE {name}")

    def close(self) -> None:
        """Close the administrator's connections."""
        self._admin.dispose()


class PrivateServer(Server):
    """A ``mariadbd`` of our own.

    Args:
        folder: Where its data are, or will be.
        template: What they begin as.
        sql_mode: Its global mode.
        options: Further ones of its command line.
    """

    def __init__(
        self, folder: Path, template: Path, sql_mode: str, options: Sequence[str] = ()
    ) -> None:
        self._options = options
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._data = folder / "data"
        if not self._data.exists():
            shutil.copytree(template, self._data)
        self._log = folder / "mariadbd.log"
        self._port = free_port()
        self._mode = sql_mode
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        super().__init__(
            sa.URL.create(
                "mariadb+pymysql",
                username="root",
                host="127.0.0.1",
                port=self._port,
                # agreeing on a key takes longer than most tests' statements
                query={"ssl_disabled": "true"},
            ),
            sql_mode,
        )

    def start(self) -> None:
        """Start the process and wait until it answers."""
        # A socket's path may have about a hundred characters, temporary folders are longer.
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(find_binary("mariadbd", "mysqld")),
                    "--no-defaults",
                    *_user_option(),
                    f"--datadir={self._data}",
                    # every server that starts deletes all temporary tables that it finds there
                    f"--tmpdir={self._folder}",
                    "--socket=s",
                    f"--pid-file={self._folder / 'pid'}",
                    "--bind-address=127.0.0.1",
                    f"--port={self._port}",
                    f"--sql-mode={self._mode}",
                    "--skip-log-bin",
                    "--skip-name-resolve",
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=8M",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-doublewrite=0",
                    "--innodb-lock-wait-timeout=5",
                    "--key-buffer-size=16M",
                    "--performance-schema=OFF",
                    "--max-connections=100",
                    *self._options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait_until_ready(self._process)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = self._log.read_text(errors="replace")[-3000:]
                pytest.fail(f"mariadbd did not start; the end of its log:\n{tail}", pytrace=False)
            try:
                pymysql.connect(host="127.0.0.1", port=self._port, user="root").close()
            except pymysql.err.OperationalError:
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Stop the process (its own, by its handle) and wait for its end."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Stop the server."""
        super().close()
        self.stop()


class ExistingServer(Server):
    """The server of ``TEST_MYSQL_URL``; its global mode is lent and given back."""

    def __init__(self, url: str) -> None:
        super().__init__(sa.make_url(url), "")
        self._own_mode = str(self.execute("SELECT @@GLOBAL.sql_mode")[0][0])

    def with_mode(self, sql_mode: str) -> Server:
        """Set the global mode; the fixtures ask before each test."""
        if self.sql_mode != sql_mode or sql_mode == "":
            self.execute(f"SET GLOBAL sql_mode = '{sql_mode}'")
            self.sql_mode = sql_mode
        return self

    def close(self) -> None:
        """Put the global mode back."""
        self.execute(f"SET GLOBAL sql_mode = '{self._own_mode}'")
        super().close()


class Servers:
    """The servers of one test session, started when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template: Path | None = None
        self._existing: ExistingServer | None = None
        self._private: dict[str, PrivateServer] = {}

    def get(self, sql_mode: str) -> Server:
        """Return a server whose global mode is ``sql_mode``."""
        url = os.environ.get("TEST_MYSQL_URL")
        if url:
            self._existing = self._existing or ExistingServer(url)
            return self._existing.with_mode(sql_mode)
        if sql_mode not in self._private:
            self._template = self._template or make_template(self._folder)
            folder = self._folder / ("strict" if sql_mode else "lax")
            self._private[sql_mode] = PrivateServer(folder, self._template, sql_mode)
        return self._private[sql_mode]

    def close(self) -> None:
        """Stop what was started."""
        for server in (*self._private.values(), self._existing):
            if server is not None:
                server.close()


@contextlib.contextmanager
def memory_folder(of: Path = _MEMORY) -> Iterator[Path | None]:
    """Make a folder in memory, where making and dropping tables waits for no disk.

    Yields:
        The folder, gone afterwards; None: memory has no room that is a folder.
    """
    if not os.access(of, os.W_OK) or shutil.disk_usage(of).free < _ROOM:
        yield None
        return
    for left in of.glob(f"{_PREFIX}*"):
        # by a session that was killed
        if not Path("/proc", left.name.removeprefix(_PREFIX)).exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = of / f"{_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mysql_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Hand out database servers by SQL mode."""
    with memory_folder() as folder:
        servers = Servers(folder or tmp_path_factory.mktemp("mariadb"))
        yield servers
        servers.close()
