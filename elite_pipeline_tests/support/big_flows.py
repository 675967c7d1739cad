"""Runs one flow in a process of its own, and prints by how many bytes that raised its memory.

``python -m elite_pipeline_tests.support.big_flows FLOW TOGA2 HELPDESK LEDGER FOLDER``
"""

import json
import sys
from pathlib import Path

from elite_pipeline.ledger import Ledger
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.togadesk import TogadeskStore, Uploads, connect
from elite_pipeline_tests.support.big_files import peak
from elite_pipeline_tests.support.systems import demo_client, toga2_client


def main(flow: str, toga2_url: str, helpdesk: str, ledger_url: str, folder: str) -> None:
    """Run it, once before there is anything to measure, and then as it is asked."""
    entry = demo_client("elite")
    toga2 = toga2_client(entry, toga2_url, read_timeout=120.0)
    ledger = Ledger(ledger_url, entry.name)
    engine = connect(helpdesk)
    with TogadeskStore(
        engine, client_id=entry.togadesk.client_id, timezone=entry.timezone
    ) as store:
        context = FlowContext(
            client=entry,
            toga2=toga2,
            togadesk=store,
            find_uploads=lambda: Uploads(Path(folder)),
            ledger=ledger,
            watermarks=Watermarks(toga2),
        )
        other = {"toga2_to_togadesk": "contacts"}.get(flow, "toga2_to_togadesk")
        run_flow(other, context, Options())
        before = peak()
        result = run_flow(flow, context, Options())
    reasons = [(one.record, one.reason) for one in result.failures]
    sys.stdout.write(json.dumps({"raised_by": peak() - before, "failures": reasons}))
    engine.dispose()
    ledger.close()
    toga2.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
