"""Receiver and runs, killed at random under traffic: whether anything is lost or doubled."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
import sqlalchemy as sa
import yaml

from benchmarks.surroundings import ContestantError, Surroundings, Tell
from benchmarks.table import Figure
from benchmarks.toga2_server import sandbox_client
from elite_pipeline.inbox.tables import worker_jobs
from elite_pipeline.sandbox.freshservice import (
    Account,
    AccountSpec,
    FreshserviceSandbox,
    Receiver,
    Traffic,
    fill,
)
from elite_pipeline.sandbox.freshservice import Settings as SandboxSettings
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline_tests.support.mariadb import free_port

_CLIENT = "elite"
_KEY = "a-key-of-the-sandbox"
_SECRET = "a-secret-of-the-webhooks"
_FLOW = "freshservice_to_toga2"
_PATIENCE = 300.0


def measure_soak(here: Surroundings, *, seconds: int, tell: Tell) -> Iterator[Figure]:
    """Let people work, kill, and count what is not as it should be once all is quiet."""
    sandbox = FreshserviceSandbox(
        [AccountSpec(_CLIENT, _KEY)], settings=SandboxSettings(limit_calls=False)
    )
    with here.helpdesk() as desk, sandbox, Toga2Sandbox([sandbox_client()]) as toga2:
        account = sandbox.account()
        fill(account)
        environ = _environment(here.folder, account, toga2.base_url, desk.for_engine)
        port = str(free_port())
        url = f"http://127.0.0.1:{port}/webhook/{_CLIENT}"
        account.webhooks.send_to(Receiver(url, _SECRET, kind=None, connections=4))
        tell(f"soak: {seconds} s of traffic and kills")
        kills = _play(account, environ, port, seconds)
        tell(f"soak: {kills} kills; until quiet")
        with _child(environ, "webhooks", "serve", "--port", port):
            account.webhooks.wait_until_sent()
        _until_quiet(environ, desk.for_engine["ledger_url"])
        lost, doubled = _compare(account, toga2, desk.for_engine["ledger_url"])
        work = f"{seconds} s of traffic, receiver and runs killed {kills} times"
        yield Figure(work, "", lost, 0, unit="lost", note=f"{account.webhooks.told} changes")
        yield Figure(work, "", doubled, 0, unit="doubled")


def _environment(
    folder: Path, account: Account, toga2_url: str, databases: Mapping[str, str]
) -> dict[str, str]:
    client = sandbox_client()
    entry = {
        # a run is started again at once, and killed again soon: it must get somewhere in between
        "toga2": {"client_uuid": client.client_uuid, "in_doubt_seconds": 1},
        "togadesk": {"client_id": 1, "ticket_department_id": 1},
        "custom_field_prefix": client.custom_field_prefix,
        "flows": {_FLOW: True},
        "freshservice": {
            "base_url": account.base_url,
            "webhook_action": "Elite/Webhook",
            "calls_per_minute": 10_000,
            "plan": "enterprise",
            "attachment_hosts": ["127.0.0.1", "localhost"],
            "status_map": {6: "IN_PROGRESS"},
        },
    }
    registry = folder / "soak.yaml"
    registry.write_text(yaml.safe_dump({"clients": {_CLIENT: entry}}), encoding="utf-8")
    return {
        **os.environ,
        "ELITE_PIPELINE_CLIENTS": str(registry),
        "TOGA2_BASE_URL": toga2_url,
        "TOGADESK_DATABASE_URL": databases["database_url"],
        "PIPELINE_DATABASE_URL": databases["ledger_url"],
        "TOGADESK_UPLOADS_DIR": str(folder),
        "ELITE_TOGA2_API_KEY": client.api_key,
        "ELITE_TOGA2_API_SECRET": client.api_secret,
        "ELITE_FRESHSERVICE_API_KEY": _KEY,
        "ELITE_WEBHOOK_SECRET": _SECRET,
    }


def _play(account: Account, environ: Mapping[str, str], port: str, seconds: int) -> int:
    """Let people work while both programs are started, killed and started again."""
    ends = time.monotonic() + seconds
    kills = Counter[str]()

    def work() -> None:
        people = Traffic(account, seed="soak")
        while time.monotonic() < ends:
            people.do_something()
            time.sleep(0.15)

    def start_and_kill(name: str, *words: str) -> None:
        dice = random.Random(name)
        while time.monotonic() < ends:
            with _child(environ, *words) as process:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=dice.uniform(2, 8))
                if process.poll() is None:
                    process.kill()
                    kills[name] += 1

    threads = [
        threading.Thread(target=work),
        threading.Thread(
            target=start_and_kill, args=("receiver", "webhooks", "serve", "--port", port)
        ),
        threading.Thread(target=start_and_kill, args=("runs", "sync", _CLIENT, _FLOW)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return kills.total()


@contextmanager
def _child(environ: Mapping[str, str], *words: str) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "elite_pipeline.cli", *words],
        env=dict(environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        if words[1:2] == ("serve",):
            _wait_for(words[-1], process)
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


def _wait_for(port: str, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(requests.RequestException):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
            return
        time.sleep(0.1)


def _until_quiet(environ: Mapping[str, str], url: str) -> None:
    """Run, with the sweep, until a run leaves nothing to do: what was killed is due at once then."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        done = subprocess.run(
            [sys.executable, "-m", "elite_pipeline.cli", "sync", _CLIENT, _FLOW, "--full"],
            env=dict(environ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0 and not set(_statuses(url)) - {"DONE"}:
            return
    raise ContestantError(f"soak: it does not go quiet: {_statuses(url)}; {done.stdout[-600:]}")


def _statuses(url: str) -> Counter[str]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = Counter(
            str(status) for status in connection.scalars(sa.select(worker_jobs.c.status))
        )
    engine.dispose()
    return found


def _compare(account: Account, toga2: Toga2Sandbox, url: str) -> tuple[int, int]:
    """Return how much was lost, and how much is there twice."""
    accepted = sum(200 <= (sent.status or 0) <= 299 for sent in account.webhooks.sent)
    lost = max(0, accepted - _statuses(url).total())
    doubled = 0
    tickets: dict[str, list[str]] = {}
    for ticket in toga2.store.all(_CLIENT, "tickets", depth=1):
        tickets.setdefault(str(ticket.get("c_eliteTicketId")), []).append(ticket["uuid"])
    notes = Counter(
        str(note.get("c_eliteConversationId")) for note in toga2.store.all(_CLIENT, "ticket-notes")
    )
    files: Counter[str] = Counter()
    for note in toga2.store.all(_CLIENT, "ticket-notes", depth=5):
        files[str(note.get("c_eliteConversationId"))] += len(note["ticketNoteFiles"])
    for number in account.tickets:
        ticket_now = account.ticket(number).document
        if ticket_now["deleted"] or ticket_now["spam"]:
            continue
        made = len(tickets.get(str(number), []))
        lost, doubled = lost + (made == 0), doubled + max(0, made - 1)
        for conversation in account.conversations(number):
            there = notes[str(conversation.id)]
            lost, doubled = lost + (there == 0), doubled + max(0, there - 1)
            body = str(conversation.document["body"])
            wanted = len(account.attachments(conversation.id)) + body.count("<!--image:")
            has = files[str(conversation.id)]
            lost, doubled = lost + max(0, wanted - has), doubled + max(0, has - wanted)
    return lost, doubled
