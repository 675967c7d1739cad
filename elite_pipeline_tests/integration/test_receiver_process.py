"""``elite-pipeline webhooks serve`` as a process: killed, ended, without its database."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner

from elite_pipeline.cli import cli
from elite_pipeline.errors import ConfigurationError
from elite_pipeline_tests.support.helpdesks import Opener
from elite_pipeline_tests.support.ledgers import LEDGER_PARAMS, empty_database
from elite_pipeline_tests.support.mariadb import STRICT, PrivateServer, make_template
from elite_pipeline_tests.support.receivers import GOOD, Child, environment, rows_of
from elite_pipeline_tests.support.waiting import wait_until


@pytest.fixture(params=LEDGER_PARAMS)
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    kind: str = request.param
    return empty_database(kind, tmp_path, open_helpdesk)


class Traffic:
    """Senders that go on whatever happens.

    Attributes:
        taken: The uuid of every webhook that was answered with 2xx.
        refused: Statuses of the others.
    """

    def __init__(self) -> None:
        self.port = 0
        self.taken: list[str] = []
        self.refused: list[int] = []
        self.cut_off = 0
        self._over = threading.Event()

    @contextmanager
    def going_on(self, port: int, senders: int = 8) -> Iterator[None]:
        """Send as long as the block lasts."""
        self.port = port
        threads = [threading.Thread(target=self._send) for _ in range(senders)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def go_on_for(self, count: int) -> None:
        """Wait until so many more webhooks are taken."""
        enough = len(self.taken) + count
        wait_until(lambda: len(self.taken) >= enough, "webhooks are taken")

    def _send(self) -> None:
        session = requests.Session()
        while not self._over.is_set():
            try:
                answer = session.post(
                    f"http://127.0.0.1:{self.port}/webhook/elite",
                    data=b'{"ticket_id": 5}',
                    headers=GOOD,
                    timeout=30,
                )
            except requests.RequestException:
                self.cut_off += 1
                # it is being started again
                self._over.wait(0.01)
                continue
            if answer.ok:
                self.taken.append(answer.json()["uuid"])
            else:
                self.refused.append(answer.status_code)
        session.close()


def test_whenever_it_is_killed_every_2xx_has_its_row(url: str, tmp_path: Path) -> None:
    dice, traffic = random.Random(4), Traffic()
    child = Child(tmp_path, url)
    with traffic.going_on(child.port):
        for _ in range(6):
            traffic.go_on_for(dice.randrange(1, 150))
            child.kill()
            child = Child(tmp_path, url, port=child.port)
        traffic.go_on_for(50)
    assert child.terminate()[0] == 0
    rows = [row["uuid"] for row in rows_of(url)]
    assert len(rows) == len(set(rows))
    assert set(traffic.taken) <= set(rows)
    assert len(set(traffic.taken)) == len(traffic.taken)
    # at most what was under way at each kill was stored and not answered
    assert len(rows) - len(traffic.taken) <= 6 * 8
    assert traffic.refused == []


def test_told_to_end_it_finishes_what_it_has_taken(url: str, tmp_path: Path) -> None:
    traffic = Traffic()
    child = Child(tmp_path, url)
    with (
        socket.create_connection(("127.0.0.1", child.port), timeout=30) as slow,
        traffic.going_on(child.port),
    ):
        secret = GOOD["X-Webhook-Secret"].encode("latin-1")
        slow.sendall(
            b"POST /webhook/elite HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nX-Webhook-Secret: "
            + secret
            + b"\r\n\r\nsl"
        )
        wait_until(lambda: len(traffic.taken) > 50, "webhooks are taken")
        child.process.terminate()
        wait_until(lambda: traffic.cut_off, "nothing new is taken")
        slow.sendall(b"ow")
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
        code, said, errors = child.terminate()
    assert (code, said) == (0, "What was received is stored.\n")
    assert "webhooks:" not in errors
    rows = rows_of(url)
    assert {row["uuid"] for row in rows} >= set(traffic.taken)
    assert [row["payload"] for row in rows].count("slow") == 1
    assert traffic.refused == []


@pytest.mark.server
def test_without_its_database_it_says_503_and_goes_on_when_it_is_back(tmp_path: Path) -> None:
    server = PrivateServer(tmp_path / "server", make_template(tmp_path), STRICT)
    try:
        server.execute("CREATE DATABASE inbox")
        url = server.url.set(database="inbox").render_as_string(hide_password=False)
        server.stop()
        child = Child(tmp_path, url)
        here = child.running(url)
        answer = here.post()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        health = here.get("/healthz")
        assert health.status_code == 503
        assert "mysql" not in health.text
        server.start()
        wait_until(lambda: here.get("/healthz").ok, "it is well again")
        assert here.post().status_code == 200

        traffic = Traffic()
        with traffic.going_on(child.port):
            wait_until(lambda: len(traffic.taken) > 50, "webhooks are taken")
            server.stop()
            wait_until(lambda: 503 in traffic.refused, "webhooks are refused")
            before = len(traffic.taken)
            server.start()
            wait_until(lambda: len(traffic.taken) > before + 50, "webhooks are taken again")
        code, _, errors = child.terminate()
        assert code == 0
        assert "senders are told to come again" in errors
        assert set(traffic.refused) == {503}
        assert set(traffic.taken) <= {row["uuid"] for row in rows_of(url)}
    finally:
        server.close()


def test_what_cannot_be_served_is_said_and_the_others_are(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'inbox.sqlite'}"
    child = Child(tmp_path, url)
    assert child.running(url).post().status_code == 200
    code, _, errors = child.terminate()
    assert code == 0
    assert f"elite: http://127.0.0.1:{child.port}/webhook/elite\n" in child.said
    assert "no-freshservice" not in child.said + errors
    assert "not served: Client 'no-secret': NO_SECRET_WEBHOOK_SECRET not set." in errors
    assert "client 'broken': toga2.client_uuid: missing" in errors


def test_a_port_that_is_taken_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path, f"sqlite:///{tmp_path / 'i.sqlite'}").items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli, ["webhooks", "serve", "--port", str(port)])
    assert isinstance(done.exception, ConfigurationError)
    assert str(done.exception).startswith(
        f"The receiver cannot listen on port {port} of 127.0.0.1: address already in use."
    )
    done = CliRunner().invoke(cli, ["webhooks", "serve", "--host", "nowhere.invalid"])
    assert "cannot listen on port 8093 of nowhere.invalid" in str(done.exception)


def test_with_nobody_to_serve_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(tmp_path, f"sqlite:///{tmp_path / 'i.sqlite'}").items():
        monkeypatch.setenv(name, value)
    for name in ("ELITE_WEBHOOK_SECRET", "WJE_WEBHOOK_SECRET"):
        monkeypatch.delenv(name)
    done = CliRunner().invoke(cli, ["webhooks", "serve"])
    assert isinstance(done.exception, ConfigurationError)
    said = str(done.exception)
    assert said.startswith("There is no client whose webhooks could be received.\n")
    assert "ELITE_WEBHOOK_SECRET not set" in said
    assert "WJE_WEBHOOK_SECRET not set" in said
