"""Clients of Freshservice that others have written use the sandbox, unchanged.

``tap-freshservice`` (a Singer tap) and ``freshpy``, from an environment of their own, which ``make test``
makes from ``peers/requirements.lock``. Both take the address of the API from their configuration.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.sandbox.freshservice import Account, FreshserviceSandbox, Traffic
from elite_pipeline_tests.support.freshservice import running_freshservice

pytestmark = pytest.mark.peers

_BIN = Path(__file__).parents[2] / ".venv-peers" / "bin"


@pytest.fixture
def sandbox() -> Iterator[FreshserviceSandbox]:
    with running_freshservice(plan="enterprise") as sandbox:
        people = Traffic(sandbox.account(), seed="peers")
        for _ in range(150):
            people.ask()
        for _ in range(60):
            people.do_something()
        yield sandbox


@pytest.fixture
def account(sandbox: FreshserviceSandbox) -> Account:
    return sandbox.account()


def run(*command: str, folder: Path | None = None) -> str:
    """Return what a peer prints; it may not go by a proxy or a configuration of this machine."""
    assert _BIN.exists(), "the peers' environment is missing: `make test` makes it"
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [str(_BIN / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=kept,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    printed: str = done.stdout
    return printed


def shown(account: Account) -> list[int]:
    """Return the tickets that a list shows."""
    return [
        record.id
        for record in account.records("ticket")
        if not record.document["deleted"] and not record.document["spam"]
    ]


def test_the_singer_tap_reads_everything(
    sandbox: FreshserviceSandbox, account: Account, tmp_path: Path
) -> None:
    # it asks for the activities and time entries of each ticket, one call each
    sandbox.settings.limit_calls = False
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "api_key": account.api_key,
                "url_base": account.api_url,
                "request_delay_seconds": 0,
                "ticket_lookback_days": 45,
            }
        ),
        encoding="utf-8",
    )
    output = run("tap-freshservice", "--config", str(config), folder=tmp_path)
    messages = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    records: dict[str, list[dict[str, Any]]] = {}
    for message in messages:
        if message["type"] == "RECORD":
            records.setdefault(message["stream"], []).append(message["record"])

    assert sorted(ticket["id"] for ticket in records["tickets"]) == shown(account)
    assert len(shown(account)) > 100
    assert [each["id"] for each in records["requesters"]] == account.requesters
    assert [each["id"] for each in records["agents"]] == account.agents
    assert [each["id"] for each in records["groups"]] == account.groups
    statuses = Counter(call.status for call in account.calls)
    assert set(statuses) == {200}, statuses
    # two pages of a hundred, with two things included in each
    lists = [call for call in account.calls if call.budget == "list_tickets"]
    assert [call.cost for call in lists] == [5, 5]


_FRESHPY = """
import json, sys
from freshpy import FreshPy

fresh = FreshPy(domain=sys.argv[1], api_key=sys.argv[2])
ticket = int(sys.argv[3])
agent = fresh.agents.get_all_agents()["agents"][0]
print(json.dumps({
    "ticket": fresh.tickets.get_ticket(ticket, include="conversations"),
    "tickets": fresh.tickets.get_tickets(include=["stats", "requester"], per_page=100, page=1),
    "later": fresh.tickets.get_tickets(updated_since="2020-01-01", ascending=True, per_page=5),
    "spam": fresh.tickets.get_tickets(predefined_filter="spam"),
    "found": fresh.tickets.get_tickets(filters={"status": 5, "priority": 1}),
    "by_type": fresh.tickets.get_tickets(ticket_type="Service Request"),
    "missing": fresh.tickets.get_ticket(999_999),
    "agent": fresh.agents.get_user_info(agent["id"]),
    "agent_id": fresh.agents.get_agent_id(agent["email"]),
    "active": fresh.agents.get_all_agents(only_active=True),
    "groups": fresh.get("groups"),
    "refused": fresh.get("conversations/1"),
}))
"""


def test_freshpy_reads_tickets_and_agents(account: Account) -> None:
    ticket = account.new_ticket("For freshpy", files=["photo.png"], status=5, priority=1)
    for _ in range(12):
        account.reply(ticket)
    account.spam(account.new_ticket())
    answer = json.loads(
        run("python", "-c", _FRESHPY, account.base_url, account.api_key, str(ticket))
    )

    assert answer["ticket"]["ticket"]["subject"] == "For freshpy"
    assert len(answer["ticket"]["ticket"]["conversations"]) == 10
    assert len(answer["ticket"]["ticket"]["attachments"]) == 1
    assert [each["id"] for each in answer["tickets"]["tickets"]] == shown(account)[::-1][:100]
    assert "stats" in answer["tickets"]["tickets"][0]
    assert [each["id"] for each in answer["later"]["tickets"]] == shown(account)[:5]
    assert all(each["spam"] for each in answer["spam"]["tickets"])
    assert ticket in [each["id"] for each in answer["found"]["tickets"]]
    assert answer["by_type"]["tickets"] == []
    assert answer["missing"]["status_code"] == 404
    assert answer["agent_id"] == account.agents[0] == answer["agent"]["id"]
    assert [each["id"] for each in answer["active"]["agents"]] == account.agents
    assert len(answer["groups"]["groups"]) == 2
    assert answer["refused"]["code"] == "method_not_allowed"
