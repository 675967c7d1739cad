"""Receivers of webhooks for the tests: in a thread of this process, or in a process of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
import yaml

from elite_pipeline.inbox.server import listen, make_server
from elite_pipeline.inbox.tables import worker_jobs
from elite_pipeline.settings import load_settings
from elite_pipeline.webhook_assembly import open_receiver, read_entrances
from elite_pipeline_tests.support.waiting import wait_until

SECRETS = {"ELITE_WEBHOOK_SECRET": "elite-sécret", "WJE_WEBHOOK_SECRET": "wje-secret"}
GOOD = {"X-Webhook-Secret": SECRETS["ELITE_WEBHOOK_SECRET"].encode().decode("latin-1")}
PATIENCE = 30


def _entry(number: int, action: str | None) -> dict[str, object]:
    entry: dict[str, object] = {
        "toga2": {"client_uuid": f"00000000-0000-4000-8000-{number:012}"},
        "togadesk": {"client_id": number, "ticket_department_id": number},
        "custom_field_prefix": "c_x",
    }
    if action:
        entry["freshservice"] = {
            "base_url": f"https://{action.lower()}.freshservice.com",
            "webhook_action": f"{action}/Webhook",
        }
    return entry


#: One that is whole, one without a secret, one without Freshservice, one that is broken.
CLIENTS = {
    "elite": _entry(1, "Elite"),
    "wje": _entry(2, "Wje"),
    "no-secret": _entry(3, "NoSecret"),
    "no-freshservice": _entry(4, None),
    "broken": {"toga2": {}},
}


def environment(folder: Path, url: str, **more: str) -> dict[str, str]:
    """Return the environment of a receiver whose database is ``url``; its registry is written."""
    registry = folder / "clients.yaml"
    registry.write_text(yaml.safe_dump({"clients": CLIENTS}), encoding="utf-8")
    return {
        "ELITE_PIPELINE_CLIENTS": str(registry),
        "PIPELINE_DATABASE_URL": url,
        **SECRETS,
        **more,
    }


@dataclass
class Running:
    """A receiver that runs.

    Attributes:
        told: What its operator was told.
    """

    url: str
    port: int
    told: list[str] = field(default_factory=list)

    def post(
        self,
        body: bytes = b'{"ticket_id": 5}',
        *,
        client: str = "elite",
        headers: Mapping[str, str] = GOOD,
    ) -> requests.Response:
        """Send a webhook."""
        return requests.post(
            f"http://127.0.0.1:{self.port}/webhook/{client}",
            data=body,
            headers=dict(headers),
            timeout=PATIENCE,
        )

    def get(self, path: str) -> requests.Response:
        """Ask for a path."""
        return requests.get(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE)

    def connect(self) -> socket.socket:
        """Return a connection to it."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def rows(self) -> list[sa.RowMapping]:
        """Return what it stored."""
        return rows_of(self.url)


def rows_of(url: str) -> list[sa.RowMapping]:
    """Return the rows of a database; none where there is no table yet."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table("WorkerJobs"):
                return []
            query = sa.select(worker_jobs).order_by(worker_jobs.c.id)
            return list(connection.execute(query).mappings())
    finally:
        engine.dispose()


@contextmanager
def running(
    folder: Path, url: str, monkeypatch: pytest.MonkeyPatch, **more: str
) -> Iterator[Running]:
    """Run a receiver in a thread."""
    for name, value in environment(folder, url, **more).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    told: list[str] = []
    with (
        open_receiver(settings, read_entrances(settings), tell=told.append) as receiver,
        listen("127.0.0.1", 0) as listener,
    ):
        port = listener.getsockname()[1]
        server = make_server(receiver.app)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        wait_until(lambda: server.started, "the receiver has started")
        try:
            yield Running(url, port, told)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


class Child:
    """``elite-pipeline webhooks serve`` in a process of its own.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, folder: Path, url: str, port: int = 0, **more: str) -> None:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(("_SECRET", "_URL", "_KEY"))
        }
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "elite_pipeline.cli"),
                *("webhooks", "serve", "--port", str(port)),
            ],
            env={**clean, **environment(folder, url, **more)},
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if line.startswith("Receiving"):
                break
        found = re.search(r"http://127.0.0.1:(\d+)/webhook", self.said)
        self.port = int(found[1]) if found else 0

    def running(self, url: str) -> Running:
        """Return it as one that can be spoken to."""
        return Running(url, self.port)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.communicate()

    def terminate(self) -> tuple[int, str, str]:
        """Ask it to end; return its exit code and what it said since it was ready."""
        self.process.send_signal(signal.SIGTERM)
        said, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, said, errors
