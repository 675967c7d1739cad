"""``elite-pipeline sandbox freshservice …``: the command line, and the sandbox as a process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner, Result

from elite_pipeline.demo import DEMO_REGISTRY, demo_freshservice_key, demo_webhook_secret
from elite_pipeline.sandbox.cli import sandbox as command
from elite_pipeline.sandbox.freshservice import Account, FreshserviceSandbox, fill
from elite_pipeline.sandbox.freshservice.registry import read_accounts
from elite_pipeline_tests.support.freshservice import Desk
from elite_pipeline_tests.support.waiting import wait_until
from elite_pipeline_tests.support.webhook_receiver import receiving


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, ["freshservice", *(str(each) for each in arguments)])


@pytest.fixture
def account() -> Iterator[Account]:
    with FreshserviceSandbox(read_accounts(DEMO_REGISTRY, port=0)) as sandbox:
        fill(sandbox.account("elite"))
        yield sandbox.account("elite")


def spoken(account: Account, *arguments: object) -> str:
    """Return what a command that speaks to the running sandbox prints."""
    result = run(*arguments, "--port", account.port)
    assert result.exit_code == 0, result.output
    return result.output


class TestRunning:
    def test_traffic_in_a_burst(self, account: Account) -> None:
        output = spoken(account, "traffic", "--client", "elite", "--burst", 30, "--seed", 1)

        assert "elite: 30 things done." in output
        assert account.tickets
        assert account.calls == []

    def test_a_big_burst_is_asked_for_in_parts(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("elite_pipeline.sandbox.freshservice.cli.AT_ONCE", 20)
        output = spoken(account, "traffic", "--client", "elite", "--burst", 50, "--seed", 1)

        assert "elite: 50 things done." in output
        assert output.count("ticket ") >= 50

    def test_traffic_for_a_while(self, account: Account) -> None:
        options = ("--minutes", 0.0002, "--per-minute", 30_000, "--seed", 1)
        output = spoken(account, "traffic", "--client", "elite", *options)

        assert "elite: 6 things done." in output

    def test_faults(self, account: Account) -> None:
        added = ("faults", "add", "wrong-size", "--set", "by=-2", "--route", "/attachments/{id}")
        assert "wrong-size by=-2 on /attachments/{id}" in spoken(account, *added)
        spoken(account, "faults", "add", "status", "--set", "status=403", "--route", "/tickets/7")
        assert spoken(account, "faults", "list").count("#") == 2
        assert Desk(account).refused("GET", "/tickets/7") == 403
        assert spoken(account, "faults", "clear") == "no faults\n"

    def test_stats_accounts_and_reset(self, account: Account) -> None:
        account.new_ticket()
        Desk(account).get("/tickets/1")
        shown = spoken(account, "accounts")
        assert f"elite: {account.base_url}, plan {account.spec.plan}" in shown
        assert "overall 1" in shown
        assert "view_ticket 1" in shown
        assert "GET /tickets/{id}: 1x 200" in spoken(account, "stats", "--reset")
        assert account.calls == []
        assert "no tickets" in spoken(account, "reset", "--client", "elite")
        assert account.tickets == []
        assert len(account.requesters) == 40

    def test_settings_and_links(self, account: Account) -> None:
        account.new_ticket(files=["photo.png"])
        desk = Desk(account)
        url = desk.get("/tickets/1")["ticket"]["attachments"][0]["attachment_url"]
        assert 'times: "offset"' in spoken(account, "settings", "--set", "times=offset")
        assert desk.get("/tickets/1")["ticket"]["created_at"].endswith("+05:30")
        spoken(account, "expire-links", "--client", "elite")
        assert desk.download(url).status_code == 403

    def test_webhooks(self, account: Account) -> None:
        with receiving() as received:
            change = ("webhooks", "--client", "elite", "--set", f"url={received.url}")
            assert received.url in spoken(account, *change, "--set", "doubled=1.0")
            account.new_ticket()
            account.webhooks.wait_until_sent()
            assert len(received.bodies) == 2


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("traffic", "--client", "nobody"), "account must be one of: elite"),
            (("settings", "--set", "nonsense=1"), "unknown setting 'nonsense'"),
            (("settings", "--set", "nonsense"), "is not NAME=VALUE"),
            (
                ("webhooks", "--client", "elite", "--set", "url=x", "--set", "a=1"),
                "unknown key 'a'",
            ),
        ],
    )
    def test_one_clear_line(
        self, account: Account, arguments: tuple[object, ...], message: str
    ) -> None:
        result = run(*arguments, "--port", account.port)

        assert result.exit_code != 0
        assert message in result.output

    def test_nothing_runs_there(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            result = run("stats", "--port", free.getsockname()[1])

        assert result.exit_code == 1
        assert "elite-pipeline sandbox freshservice serve" in result.output

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("clients: {a: {}}", "no client has a section 'freshservice'"),
            ("clients: {a: {freshservice: {plan: free}}}", "freshservice.plan must be one of"),
            ("a: [", "is not valid YAML"),
        ],
    )
    def test_a_registry_that_does_not_do(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "clients.yaml"
        path.write_text(text, encoding="utf-8")
        result = run("credentials", "--clients-file", path)

        assert result.exit_code == 1
        assert message in result.output
        missing = run("credentials", "--clients-file", tmp_path / "none.yaml")
        assert "cannot be read" in missing.output


def test_credentials() -> None:
    output = run("credentials", "--clients-file", DEMO_REGISTRY).output

    assert f"elite: Basic {demo_freshservice_key('elite')}:X" in output
    assert demo_webhook_secret("elite") in output
    assert "wje" not in output


def test_ports_of_further_accounts(tmp_path: Path) -> None:
    path = tmp_path / "clients.yaml"
    path.write_text(
        "clients:\n"
        '  a: {freshservice: {base_url: "https://a.freshservice.com", plan: pro}}\n'
        '  b: {freshservice: {base_url: "http://127.0.0.1:8095"}}\n'
        '  c: {freshservice: {base_url: "http://127.0.0.1:nonsense"}}\n'
        "  d: {}\n",
        encoding="utf-8",
    )
    specs = read_accounts(path, port=8092)

    assert [(each.name, each.port, each.plan) for each in specs] == [
        ("a", 8092, "pro"),
        ("b", 8095, "starter"),
        ("c", 0, "starter"),
    ]
    assert {each.plan for each in read_accounts(path, port=0, plan="growth")} == {"growth"}


def test_it_serves_as_a_process_and_tells_of_changes(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path / "freshservice.sqlite"
    with receiving() as received:
        arguments = (
            *("serve", "--port", str(port), "--data", str(data)),
            *("--clients-file", str(DEMO_REGISTRY)),
            *("--webhooks-to", received.url.replace("elite", "{client}")),
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "elite_pipeline.cli", "sandbox", "freshservice", *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            assert f"http://127.0.0.1:{port}/api/v2, plan pro" in process.stdout.readline()
            result = run("traffic", "--client", "elite", "--burst", 5, "--port", port)
            assert result.exit_code == 0, result.output
            wait_until(lambda: len(received.bodies) >= 5, "five webhooks have arrived")
            secrets = {headers["X-Webhook-Secret"] for headers in received.headers}
            assert secrets == {demo_webhook_secret("elite")}
            answer = requests.get(
                f"http://127.0.0.1:{port}/api/v2/tickets",
                auth=(demo_freshservice_key("elite"), "X"),
                timeout=10,
            )
            assert answer.json()["tickets"]
            taken = run("serve", "--port", port, "--data", tmp_path / "other.sqlite")
            assert taken.exit_code == 1
            assert f"port {port}" in taken.output
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
