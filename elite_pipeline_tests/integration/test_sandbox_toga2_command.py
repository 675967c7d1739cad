"""``elite-pipeline sandbox toga2 …``: the command line, and the sandbox as a process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from elite_pipeline.demo import DEMO_REGISTRY
from elite_pipeline.sandbox.cli import sandbox as command
from elite_pipeline.sandbox.registry import read_clients
from elite_pipeline.sandbox.toga2 import Store, Toga2Sandbox
from elite_pipeline_tests.support.toga2_wire import Wire
from elite_pipeline_tests.support.waiting import wait_until

_SIZES = (
    *("--contacts", "20", "--units", "5", "--teams", "2", "--predefined-replies", "2"),
    *("--categories", "5", "--tickets", "6", "--notes-per-ticket", "2"),
)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["toga2", *(str(argument) for argument in arguments)])


@dataclass
class Running:
    sandbox: Toga2Sandbox
    data: Path

    @property
    def port(self) -> int:
        return self.sandbox.port


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    data = tmp_path / "toga2.sqlite"
    assert run("fill", "--data", data, *_SIZES).exit_code == 0
    with Toga2Sandbox(read_clients(DEMO_REGISTRY), path=data) as sandbox:
        yield Running(sandbox, data)


class TestFill:
    def test_it_fills_every_client(self, tmp_path: Path) -> None:
        data = tmp_path / "toga2.sqlite"

        result = run("fill", "--data", data, *_SIZES)

        assert result.exit_code == 0, result.output
        assert "elite: 20 contacts" in result.output
        assert "wje: 20 contacts" in result.output
        store = Store(read_clients(DEMO_REGISTRY), path=data)
        assert store.count("elite", "tickets") == store.count("wje", "repair-orders") == 6
        for client, route in (("elite", "repair-orders"), ("wje", "tickets")):
            assert store.count(client, route) == store.count(client, f"{route[:-1]}-notes") == 0
        store.close()

    def test_it_fills_one_client_in_the_size_of_the_demo(self, tmp_path: Path) -> None:
        result = run("fill", "--data", tmp_path / "toga2.sqlite", "--client", "wje", "--dirty")

        assert result.exit_code == 0
        assert "wje: 205 contacts" in result.output
        assert "elite: " not in result.output

    def test_a_client_that_has_repair_orders_alone_is_not_filled_twice(
        self, tmp_path: Path
    ) -> None:
        data = tmp_path / "toga2.sqlite"
        store = Store(read_clients(DEMO_REGISTRY), path=data)
        store.create("wje", "repair-orders", {"subject": "A"})
        store.close()

        result = run("fill", "--data", data, "--client", "wje", "--keep")

        assert (result.exit_code, result.output.splitlines()[1]) == (
            0,
            "wje: has data already, kept",
        )

    def test_it_does_not_fill_twice(self, running: Running) -> None:
        again = run("fill", "--data", running.data)
        kept = run("fill", "--data", running.data, "--keep")

        assert again.exit_code == 1
        assert "--keep" in again.output
        assert "Traceback" not in again.output
        assert (kept.exit_code, kept.output.count("kept")) == (0, 2)
        assert running.sandbox.store.count("elite", "contacts") == 20

    def test_an_unknown_client_is_named(self, tmp_path: Path) -> None:
        result = run("fill", "--data", tmp_path / "toga2.sqlite", "--client", "nobody")

        assert result.exit_code == 1
        assert "'nobody'" in result.output
        assert "elite, wje" in result.output


class TestHelp:
    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            ((), "    elite-pipeline sandbox toga2 stats"),
            (("faults", "add"), "  delay             seconds=2"),
        ],
    )
    def test_tables_keep_their_lines(self, arguments: tuple[str, ...], line: str) -> None:
        shown = run(*arguments, "--help").output

        assert "\\b" not in shown
        assert "\b" not in shown
        assert line in [found[2:] for found in shown.splitlines()]


class TestEdit:
    def test_edits_are_real_requests(self, running: Running) -> None:
        result = run(
            "edit",
            *("--port", running.port, "--client", "elite"),
            *("--tickets", 3, "--notes", 2, "--contacts", 1, "--seed", 5),
        )

        assert result.exit_code == 0, result.output
        assert len(result.output.splitlines()) == 6
        assert running.sandbox.count(method="PATCH", route="/tickets/{uuid}", status=200) == 3
        assert running.sandbox.count(method="POST", route="/ticket-notes", status=201) == 2
        assert running.sandbox.count(method="PATCH", route="/contacts/{uuid}", status=200) == 1
        assert {request.client for request in running.sandbox.requests} == {"elite"}

    def test_edits_of_a_client_of_repair_orders_are_of_those(self, running: Running) -> None:
        result = run(
            "edit",
            *("--port", running.port, "--client", "wje"),
            *("--tickets", 3, "--notes", 2, "--seed", 5),
        )

        assert result.exit_code == 0, result.output
        assert [line[:12] for line in result.output.splitlines()] == ["repair order"] * 5
        count = running.sandbox.count
        assert count(method="PATCH", route="/repair-orders/{uuid}", status=200) == 3
        assert count(method="POST", route="/repair-order-notes", status=201) == 2
        assert count(method="POST") + count(method="PATCH") == 5

    @pytest.mark.parametrize(
        ("client", "route", "notes", "files"),
        [
            ("elite", "ticket-note", 2, 3),
            ("wje", "repair-order-note", 0, 2),
        ],
    )
    def test_notes_get_files(
        self, running: Running, client: str, route: str, notes: int, files: int
    ) -> None:
        result = run(
            "edit",
            *("--port", running.port, "--client", client),
            *("--notes", notes, "--files", files, "--seed", 5),
        )

        assert result.exit_code == 0, result.output
        assert result.output.count("new ") == (notes or 1)
        assert result.output.count(".png") + result.output.count(".txt") == files
        count = running.sandbox.count
        assert count(method="POST", route=f"/{route}s", status=201) == (notes or 1)
        assert count(method="POST", route="/files", status=201) == files
        links = f"/{route}s/{{uuid}}/{route}-files"
        assert count(method="POST", route=links, status=201) == files

    def test_a_sandbox_that_does_not_run_is_said_plainly(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            result = run(
                "edit", "--port", unused.getsockname()[1], "--client", "elite", "--notes", 1
            )

        assert result.exit_code == 1
        assert "no sandbox answers" in result.output
        assert "Traceback" not in result.output

    def test_an_unknown_client_is_named(self) -> None:
        result = run("edit", "--client", "nobody")

        assert (result.exit_code, "elite, wje" in result.output) == (1, True)

    def test_nothing_to_edit_is_said(self, tmp_path: Path) -> None:
        with Toga2Sandbox(read_clients(DEMO_REGISTRY), path=tmp_path / "empty.sqlite") as sandbox:
            results = [
                run("edit", "--port", sandbox.port, "--client", client, "--tickets", 1)
                for client in ("elite", "wje")
            ]

        assert [result.exit_code for result in results] == [1, 1]
        assert all("fill" in result.output for result in results)
        assert "no tickets" in results[0].output
        assert "no repair-orders" in results[1].output


class TestControl:
    def test_faults_are_added_listed_and_cleared(self, running: Running) -> None:
        port = ("--port", running.port)
        added = run(
            *("faults", "add", "status", *port, "--set", "status=503", "--set", "body=html"),
            *("--route", "/contacts", "--times", 2),
        )
        run("faults", "add", "shift", *port, "--forever")
        listed = run("faults", "list", *port)
        status = Wire(running.sandbox, read_clients(DEMO_REGISTRY)[0]).call("GET", "/contacts")
        cleared = run("faults", "clear", *port)

        assert added.exit_code == 0, added.output
        assert "on /contacts, 2 times: 0 so far" in added.output
        assert "shift" in listed.output
        assert "for ever" in listed.output
        assert status.status_code == 503
        assert cleared.output == "no faults\n"
        assert run("faults", "list", *port).output == "no faults\n"

    @pytest.mark.parametrize("value", ["status", "status=many", "nonsense=1"])
    def test_a_fault_that_is_spelled_wrong_is_refused(self, running: Running, value: str) -> None:
        result = run("faults", "add", "status", "--port", running.port, "--set", value)

        assert result.exit_code != 0
        assert "Traceback" not in result.output
        assert running.sandbox.faults.rules == ()

    def test_stats(self, running: Running) -> None:
        Wire(running.sandbox, read_clients(DEMO_REGISTRY)[0]).get("/contacts")

        shown = run("stats", "--port", running.port, "--reset")

        assert "1 requests, at most 1 at once" in shown.output
        assert "GET /contacts: 1x 200" in shown.output
        assert running.sandbox.count() == 0

    def test_settings(self, running: Running) -> None:
        result = run("settings", "--port", running.port, "--latency", 0.01, "--no-expand-lists")

        assert "latency_seconds: 0.01" in result.output
        assert running.sandbox.settings.expand_lists is False
        assert running.sandbox.settings.notes_touch_ticket is True


class TestRegistry:
    @pytest.mark.parametrize(
        ("text", "named"),
        [
            ("clients: {", "YAML"),
            ("[]", "clients"),
            ("clients: {}", "clients"),
            ("clients: {elite: 5}", "client_uuid"),
            ("clients: {elite: {toga2: {client_uuid: 5}}}", "client_uuid"),
            ("clients: {elite: {toga2: {client_uuid: a}}}", "custom_field_prefix"),
            ("clients: {e: {toga2: {client_uuid: a, integration_type: ORDERS}}}", "REPAIR_ORDERS"),
            ("clients: {e: {toga2: {client_uuid: a, integration_type: []}}}", "REPAIR_ORDERS"),
            (
                "clients: {elite: {toga2: {client_uuid: a}, custom_field_prefix: elite}}",
                "custom_field_prefix",
            ),
        ],
    )
    def test_a_broken_registry_is_one_message(self, tmp_path: Path, text: str, named: str) -> None:
        path = tmp_path / "clients.yaml"
        path.write_text(text, encoding="utf-8")

        result = run("credentials", "--clients-file", path)

        assert result.exit_code == 1
        assert str(path) in result.output.replace("\n", "")
        assert named in result.output
        assert "Traceback" not in result.output

    def test_a_missing_registry_is_one_message(self, tmp_path: Path) -> None:
        result = run("credentials", "--clients-file", tmp_path / "none.yaml")

        assert result.exit_code == 1
        assert "cannot be read" in result.output

    def test_credentials_are_the_ones_that_the_sandbox_takes(self, running: Running) -> None:
        shown = run("credentials").output
        client = read_clients(DEMO_REGISTRY)[1]

        assert f"wje: X-Client-Uuid {client.client_uuid}" in shown
        assert f"{client.api_key}:{client.api_secret}" in shown
        assert Wire(running.sandbox, client).call("GET", "/contacts").status_code == 200

    def test_without_a_choice_it_is_that_of_the_pipeline(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("ELITE_PIPELINE_CLIENTS", raising=False)
        monkeypatch.chdir(tmp_path)
        assert run("credentials").output.startswith("elite: ")

        text = DEMO_REGISTRY.read_text(encoding="utf-8").replace("  elite:", "  compass-usa:")
        Path("clients.yaml").write_text(text, encoding="utf-8")
        assert run("credentials").output.startswith("compass-usa: ")
        filled = run("fill", "--data", "toga2.sqlite", *_SIZES)

        assert filled.output.startswith(
            "clients of clients.yaml; data: toga2.sqlite\ncompass-usa: "
        )


class TestServe:
    @staticmethod
    def serve(data: Path, port: int) -> subprocess.Popen[str]:
        code = "from elite_pipeline.sandbox.cli import sandbox; sandbox()"
        arguments = ("toga2", "serve", "--new", "--data", str(data), "--port", str(port))
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "TOGA2_PORT"},
        )

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_it_serves_until_it_is_told_to_stop(
        self, tmp_path: Path, number: signal.Signals
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = self.serve(tmp_path / "toga2.sqlite", port)
        try:
            with requests.Session() as session:
                session.trust_env = False

                def answers() -> bool:
                    assert process.poll() is None, process.communicate()
                    try:
                        url = f"http://127.0.0.1:{port}/_sandbox/health"
                        return session.get(url, timeout=5).ok
                    except requests.ConnectionError:
                        return False

                wait_until(answers, "the sandbox answers")
        finally:
            process.send_signal(number)
        output, errors = process.communicate(timeout=30)

        assert process.returncode == 0, errors
        assert f"http://127.0.0.1:{port}/v2" in output
        assert f"clients: elite, wje (of {DEMO_REGISTRY})" in output
        assert errors == ""

    def test_a_file_that_is_not_there_is_refused_and_not_made(self, tmp_path: Path) -> None:
        data = tmp_path / "typo.sqlite"

        result = run("serve", "--data", data)

        assert result.exit_code == 1
        assert f"there is no {data}" in result.output
        assert f"fill --data {data}" in result.output
        assert "--new" in result.output
        assert list(tmp_path.iterdir()) == []

    def test_a_new_file_is_none_that_is_there(self, running: Running) -> None:
        result = run("serve", "--new", "--data", running.data)

        assert result.exit_code == 1
        assert "is there already" in result.output
        assert running.sandbox.store.count("elite", "contacts") == 20

    def test_a_port_that_is_taken_is_one_line(self, tmp_path: Path) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            process = self.serve(tmp_path / "toga2.sqlite", port)
            output, errors = process.communicate(timeout=30)

        assert process.returncode == 1
        assert output == ""
        assert errors == f"Error: port {port} on 127.0.0.1: address already in use\n"
