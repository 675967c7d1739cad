"""Webhooks that arrive at once: what Freshservice is asked because of them."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from benchmarks.surroundings import ContestantError, Surroundings, Tell
from benchmarks.table import Figure
from benchmarks.toga2_server import sandbox_client
from elite_pipeline import assembly
from elite_pipeline.assembly import freshservice_client
from elite_pipeline.clients import Client
from elite_pipeline.inbox import Inbox, Webhook
from elite_pipeline.ledger import Ledger
from elite_pipeline.sandbox.freshservice import Account, AccountSpec, FreshserviceSandbox, fill
from elite_pipeline.sandbox.freshservice import Settings as SandboxSettings
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.sandbox.togadesk import create_database
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.freshservice_side import FreshserviceSide
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.togadesk import TogadeskStore, Uploads, connect
from elite_pipeline.transport import Redactor
from elite_pipeline.transport.rate_budget import Unlimited
from elite_pipeline_tests.support.systems import demo_client, toga2_client

REQUESTERS = 100
REPLIES = 3
_CLIENT = "elite"
_KEY = "a-key-of-the-sandbox"


def measure_webhooks(
    here: Surroundings, *, webhooks: int, tickets: int, tell: Tell
) -> Iterator[Figure]:
    """Let ``webhooks`` wait for ``tickets`` tickets, run once, and count what Freshservice was asked."""
    client = demo_client(_CLIENT)
    folder = here.folder / "webhooks"
    folder.mkdir()
    with ExitStack() as stack:
        freshservice = stack.enter_context(
            FreshserviceSandbox(
                [AccountSpec(_CLIENT, _KEY)], settings=SandboxSettings(limit_calls=False)
            )
        )
        account = freshservice.account()
        fill(account, requesters=REQUESTERS)
        tell(f"webhooks: making {tickets:,} tickets and {webhooks:,} webhooks")
        numbers = _open_tickets(account, tickets)
        # kept, a plan's limits would make it take minutes; what is measured is how often is asked
        stack.enter_context(
            patch.object(assembly, "LedgerRateBudget", lambda *_, **__: Unlimited())
        )
        context = stack.enter_context(_Context(client, account, folder))
        side = context.find_freshservice()
        payloads = [json.dumps({"ticket_id": numbers[at % tickets]}) for at in range(webhooks)]
        side.inbox.add_all([Webhook.of(side.action, payload, {}) for payload in payloads])
        tell("webhooks: one run")
        result = run_flow("freshservice_to_toga2", context, Options(sweeps=False))
        waiting = side.inbox.counts(side.action)
        if result.created != tickets or result.failed or waiting.waiting or waiting.failed:
            raise ContestantError(
                f"webhooks: {result.created} tickets made, {result.failed} failed"
            )
        asked = {
            document.get("requester_id")
            for document in (account.ticket(number).document for number in numbers)
        }
        groups = {account.ticket(number).document.get("group_id") for number in numbers} - {None}
        needed = 2 * tickets + len(asked) + len(groups) + 1
        yield Figure(
            f"{webhooks:,} webhooks for {tickets:,} tickets, {REPLIES} replies each, one run",
            "tickets + conversation pages + people, groups and the form once each",
            len(account.calls),
            needed,
            unit="calls",
            note=f"{len(asked)} people, {len(groups)} groups",
        )


def _open_tickets(account: Account, count: int) -> list[int]:
    requesters, groups, paths = account.requesters, account.groups, account.categories
    numbers = []
    for at in range(count):
        number = account.new_ticket(
            f"Ticket {at}",
            requester=requesters[at % len(requesters)],
            group_id=groups[at % len(groups)],
            category=paths[at % len(paths)],
        )
        for place in range(REPLIES):
            account.reply(number, f"<div>Reply {place}</div>")
        numbers.append(number)
    return numbers


class _Context:
    """What one run works with, all of it on this machine."""

    def __init__(self, client: Client, account: Account, folder: Path) -> None:
        self._client = client
        self._account = account
        self._folder = folder
        self._stack = ExitStack()

    def __enter__(self) -> FlowContext:
        stack, client, folder = self._stack, self._client, self._folder
        toga2_sandbox = stack.enter_context(Toga2Sandbox([sandbox_client()]))
        toga2 = toga2_client(client, toga2_sandbox.base_url)
        stack.callback(toga2.close)
        engine = connect(f"sqlite:///{folder / 'helpdesk.sqlite'}")
        create_database(engine, "modern")
        stack.callback(engine.dispose)
        store = TogadeskStore(engine, client_id=client.togadesk.client_id, timezone=client.timezone)
        stack.callback(store.close)
        url = f"sqlite:///{folder / 'ledger.sqlite'}"
        ledger = Ledger(url, client.name)
        stack.callback(ledger.close)
        entry = client.freshservice
        if entry is None:
            raise ContestantError("webhooks: the demo's client has no Freshservice")
        freshservice = freshservice_client(
            entry,
            api_url=self._account.api_url,
            api_key=self._account.api_key,
            pipeline_url=url,
            redactor=Redactor([self._account.api_key]),
        )
        stack.callback(freshservice.close)
        inbox = Inbox(url)
        stack.callback(inbox.close)
        side = FreshserviceSide(freshservice, inbox, entry.webhook_action, timedelta(seconds=300))
        return FlowContext(
            client=client,
            toga2=toga2,
            togadesk=store,
            find_uploads=lambda: Uploads(folder),
            ledger=ledger,
            watermarks=Watermarks(toga2),
            find_freshservice=lambda: side,
        )

    def __exit__(self, *_: object) -> None:
        self._stack.close()
