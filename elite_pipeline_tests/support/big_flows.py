"""Runs one flow in a process of its own, and prints by how many bytes that raised its memory.

``python -m elite_pipeline_tests.support.big_flows FLOW TOGA2 HELPDESK LEDGER FOLDER [FRESHSERVICE KEY]``
"""

import json
import sys
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

from elite_pipeline.assembly import freshservice_client
from elite_pipeline.clients import Client
from elite_pipeline.inbox import Inbox
from elite_pipeline.ledger import Ledger
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.freshservice_side import FreshserviceSide
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.togadesk import TogadeskStore, Uploads, connect
from elite_pipeline.transport import Redactor
from elite_pipeline_tests.support.big_files import peak
from elite_pipeline_tests.support.systems import demo_client, toga2_client


def main(
    flow: str, toga2_url: str, helpdesk: str, ledger_url: str, folder: str, *freshservice: str
) -> None:
    """Run it, once before there is anything to measure, and then as it is asked."""
    entry = demo_client("elite")
    toga2 = toga2_client(entry, toga2_url, read_timeout=120.0)
    ledger = Ledger(ledger_url, entry.name)
    engine = connect(helpdesk)
    with ExitStack() as stack:
        store = stack.enter_context(
            TogadeskStore(engine, client_id=entry.togadesk.client_id, timezone=entry.timezone)
        )
        context = FlowContext(
            client=entry,
            toga2=toga2,
            togadesk=store,
            find_uploads=lambda: Uploads(Path(folder)),
            ledger=ledger,
            watermarks=Watermarks(toga2),
        )
        if freshservice:
            side = _freshservice(entry, ledger_url, *freshservice)
            stack.enter_context(closing(side.client))
            stack.enter_context(closing(side.inbox))
            context.find_freshservice = lambda: side
        other = {"toga2_to_togadesk": "contacts"}.get(flow, "toga2_to_togadesk")
        run_flow(other, context, Options())
        before = peak()
        result = run_flow(flow, context, Options())
    reasons = [(one.record, one.reason) for one in result.failures]
    sys.stdout.write(json.dumps({"raised_by": peak() - before, "failures": reasons}))
    engine.dispose()
    ledger.close()
    toga2.close()


def _freshservice(client: Client, ledger_url: str, api_url: str, api_key: str) -> FreshserviceSide:
    entry = client.freshservice
    assert entry is not None
    account = freshservice_client(
        entry,
        api_url=api_url,
        api_key=api_key,
        pipeline_url=ledger_url,
        redactor=Redactor([api_key]),
    )
    lag = timedelta(seconds=entry.lag_seconds)
    return FreshserviceSide(account, Inbox(ledger_url), entry.webhook_action, lag)


if __name__ == "__main__":
    main(*sys.argv[1:])
