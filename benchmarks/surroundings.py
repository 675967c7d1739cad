"""What the contestants work with: a MariaDB server, databases in it, TOGA 2 processes, children."""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from benchmarks.toga2_server import sandbox_client
from elite_pipeline.sandbox.togadesk import create_database
from elite_pipeline.sandbox.togadesk.database import Shape
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.mariadb import STRICT, Server, Servers

ROOT = Path(__file__).resolve().parent.parent
#: The environment that dlt lives in; ``make bench`` builds it.
PEER_PYTHON = ROOT / ".venv-bench" / "bin" / "python"

#: How statements begin that write.
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


#: What dlt reads when it is imported.
_DLT_TUNING = {
    # One process: starting a second one costs more than it saves at this size.
    "NORMALIZE__WORKERS": "1",
    # Files as large as one load job takes in one transaction, and not compressed to be read once.
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "EXTRACT__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "10000",
}


#: Says how far the measuring has got.
Tell = Callable[[str], None]


class ContestantError(RuntimeError):
    """A contestant did not do its work."""


@dataclass(frozen=True)
class Toga2:
    """A running TOGA 2."""

    url: str
    admin_url: str

    def configure(self, **settings: object) -> None:
        """Change its switches, e.g. ``latency_seconds``."""
        requests.patch(f"{self.admin_url}/settings", json=settings, timeout=10).raise_for_status()

    def reset_stats(self) -> None:
        """Forget the requests so far."""
        requests.post(f"{self.admin_url}/reset-stats", timeout=10).raise_for_status()

    def stats(self) -> dict[str, Any]:
        """Return its counters."""
        answer = requests.get(f"{self.admin_url}/stats", timeout=10)
        answer.raise_for_status()
        counters: dict[str, Any] = answer.json()
        return counters

    @property
    def credentials(self) -> dict[str, str]:
        """What a contestant needs to call it."""
        client = sandbox_client()
        return {
            "toga2_url": self.url,
            "client_uuid": client.client_uuid,
            "api_key": client.api_key,
            "api_secret": client.api_secret,
        }


@dataclass(frozen=True)
class Helpdesk:
    """A helpdesk's database, and a database beside it for the pipeline's own tables."""

    url: sa.URL
    ledger: sa.URL

    @property
    def for_engine(self) -> dict[str, str]:
        """What the engine needs."""
        return {
            "database_url": self.url.render_as_string(hide_password=False),
            "ledger_url": self.ledger.render_as_string(hide_password=False),
        }

    @property
    def for_pymysql(self) -> dict[str, Any]:
        """What ``pymysql.connect`` takes."""
        return {
            "host": self.url.host,
            "port": self.url.port,
            "user": self.url.username,
            "password": self.url.password or "",
            "database": self.url.database,
        }


class Surroundings:
    """Everything that one run of the benchmarks has open.

    Args:
        folder: A temporary folder; on the disk whose speed counts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers = Servers(folder / "mariadb")
        (folder / "mariadb").mkdir()

    @property
    def server(self) -> Server:
        """The database server, started when it is first asked for."""
        server = self._servers.get(STRICT)
        # the tests' server is a small one; a measured one gets what any server has
        server.execute(f"SET GLOBAL innodb_buffer_pool_size = {512 << 20}")
        server.execute(f"SET GLOBAL key_buffer_size = {128 << 20}")
        return server

    def close(self) -> None:
        """Stop the server."""
        self._servers.close()

    @contextmanager
    def helpdesk(self, shape: Shape = "legacy") -> Iterator[Helpdesk]:
        """Make an empty helpdesk, and drop it afterwards."""
        server = self.server
        with server.database() as url, server.database() as ledger:
            engine = connect(url.render_as_string(hide_password=False))
            create_database(engine, shape)
            engine.dispose()
            yield Helpdesk(url, ledger)

    @contextmanager
    def dataset(self) -> Iterator[tuple[str, str]]:
        """Make empty utf8mb4 databases for a dataset of dlt; yield the server's URL and its name."""
        server, name = self.server, f"dlt_{secrets.token_hex(6)}"
        names = (name, f"{name}_staging")
        for each in names:
            server.execute(f"CREATE DATABASE {each} CHARACTER SET utf8mb4")
        try:
            url = server.url.set(
                drivername="mysql+pymysql", database=name, query={"charset": "utf8mb4"}
            )
            yield url.render_as_string(hide_password=False), name
        finally:
            for each in names:
                server.execute(f"DROP DATABASE {each}")

    def for_dlt(self, server_url: str, dataset: str) -> dict[str, str]:
        """Return what dlt needs for a dataset, a folder of its own included."""
        folder = self.folder / dataset
        folder.mkdir()
        return {"server_url": server_url, "dataset": dataset, "folder": str(folder)}

    @contextmanager
    def toga2(self, template: Path, *, clients: int | None = None) -> Iterator[Toga2]:
        """Serve a copy of a file of records, in a process of its own.

        Args:
            template: The file.
            clients: How many clients it is of (``sandbox_clients``); by default the one that is measured.
        """
        path = self.folder / f"toga2-{secrets.token_hex(4)}" / "toga2.sqlite"
        path.parent.mkdir()
        shutil.copyfile(template, path)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.toga2_server", str(path)),
                *(() if clients is None else (str(clients),)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise ContestantError("the sandbox's TOGA 2 did not start; see its message above")
            yield Toga2(*line.split())
        finally:
            process.communicate()
            shutil.rmtree(path.parent)

    @contextmanager
    def counting_writes(self) -> Iterator[Counter[str]]:
        """Count the writing statements that the server is sent meanwhile, by database; then they are in.

        The server's own log of all statements tells: it is on for no longer than this.
        """
        server = self.server
        server.execute("SET GLOBAL log_output = 'TABLE'")
        server.execute("TRUNCATE TABLE mysql.general_log")
        counted: Counter[str] = Counter()
        server.execute("SET GLOBAL general_log = ON")
        try:
            yield counted
        finally:
            server.execute("SET GLOBAL general_log = OFF")
        database_of: dict[object, str] = {}
        for thread, command, argument in server.execute(
            "SELECT thread_id, command_type, CONVERT(argument USING utf8mb4) "
            "FROM mysql.general_log ORDER BY event_time"
        ):
            text = str(argument).strip()
            if command == "Connect":
                # "user@host on database using TCP/IP"
                database_of[thread] = text.partition(" on ")[2].split(" ")[0]
            elif text.upper().startswith(_WRITES):
                counted[database_of[thread]] += 1


def run_contestant(
    name: str, given: Mapping[str, Any], *, expect: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Run a contestant in a fresh interpreter and return what it reports.

    Args:
        name: Its module.
        given: Its surroundings.
        expect: Counts that its report must have: who did less is not measured.

    Raises:
        ContestantError: It failed, or did not do what was expected.
    """
    peer = name == "dlt_rest_api"
    program = (
        [str(PEER_PYTHON), str(ROOT / "benchmarks" / "contestants" / f"{name}.py")]
        if peer
        else [sys.executable, "-m", f"benchmarks.contestants.{name}"]
    )
    if peer and not PEER_PYTHON.exists():
        raise ContestantError("there is no .venv-bench for dlt; `make bench` builds it")
    done = subprocess.run(
        [*program, json.dumps(dict(given))],
        cwd=given.get("folder", ROOT) if peer else ROOT,
        env={**os.environ, **(_DLT_TUNING if peer and given["tuned"] else {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ContestantError(f"{name} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if result.get("failed"):
        raise ContestantError(f"{name}: {result['failed']} failed: {result['first_failure']}")
    for count, expected in (expect or {}).items():
        if result[count] != expected:
            raise ContestantError(f"{name}: {count} is {result[count]}, not {expected}")
    return result
