"""What goes to Freshservice stands in the call log: every call and file, without what opens them."""

import hashlib
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.assembly import freshservice_client
from elite_pipeline.errors import PipelineError
from elite_pipeline.freshservice_entry import FreshserviceEntry
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect
from elite_pipeline.transport import Redactor, RetryPolicy
from elite_pipeline_tests.support.call_logs import SETTING, LogDatabase
from elite_pipeline_tests.support.freshservice_script import answer, conversation, page, ticket
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.scripted_http import Reply, scripted

KEY = "the-freshservice-key"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6NH0.c2lnbmF0dXJl"
SIGNATURE = "signature~of~the~storage"
CONTENT = b"\x89PNG bytes of a file that are nobody's business"
FILE = f"/data/helpdesk/attachments/production/7/original/a.png?Expires=1781078400&Signature={SIGNATURE}"


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


def test_every_call_and_every_file_has_a_row_without_what_opens_it(
    log: LogDatabase, tmp_path: Path
) -> None:
    log.make()
    link = f"https://x.attachments.freshservice.com{FILE}"
    image = f'<img src="https://attachment.freshservice.com/inline/attachment?token={TOKEN}">'
    file = {"id": 7, "name": "a.png", "size": len(CONTENT), "attachment_url": link}
    replies = [
        Reply(500, json.dumps({"message": f"key {KEY}"}).encode()),
        answer({"ticket": ticket(description=image, attachments=[file])}),
        page([conversation(1, body=image, attachments=[file])]),
        Reply(200, CONTENT, {"Content-Type": "image/png"}),
        Reply(302, b"", {"Location": f"/moved?X-Amz-Signature={SIGNATURE}&X-Amz-Expires=86400"}),
        Reply(403, f"<Signature>{SIGNATURE}</Signature>".encode()),
        Reply(0),
    ]
    with scripted(*replies) as server:
        entry = FreshserviceEntry.model_validate(
            {
                "base_url": server.url,
                "webhook_action": "Elite/Webhook",
                "attachment_hosts": ["127.0.0.1"],
            }
        )
        redactor = Redactor.for_basic_auth(KEY, "X")
        rows = RowMaker(redactor, transaction_id="run-1", instance_id="host-1")
        with (
            closing(
                CallLog(connect(log.url, SETTING, timeout_seconds=30), rows, client="elite")
            ) as calls,
            closing(
                freshservice_client(
                    entry,
                    api_url=entry.api_url,
                    api_key=KEY,
                    pipeline_url=f"sqlite:///{tmp_path / 'ledger.sqlite'}",
                    redactor=redactor,
                    on_exchange=calls.add,
                    retry=RetryPolicy(attempts=2, base_seconds=0.0),
                )
            ) as client,
        ):
            client.ticket(7)
            client.conversations(7)
            client.download(server.url + FILE, len(CONTENT), io.BytesIO())
            for path in (FILE, f"/inline/attachment?token={TOKEN}"):
                with pytest.raises(PipelineError):
                    client.download(server.url + path, None, io.BytesIO())
            sent = len(server.requests)

    found = log.rows()
    assert len(found) == sent == 8
    assert [(row["route"].rpartition("/")[2], row["responseCode"]) for row in found] == [
        ("7", 500),
        ("7", 200),
        ("conversations", 200),
        ("a.png", 200),
        ("a.png", 302),
        ("moved", 403),
        ("attachment", None),
        ("attachment", None),
    ]
    assert {(row["direction"], row["hostname"], row["method"]) for row in found} == {
        ("OUT", "127.0.0.1", "GET")
    }
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert found[3]["responsePayload"] == f"[left out: {len(CONTENT)} bytes, sha256 {digest}]"
    assert found[3]["requestHeaders"] is None
    assert "no whole answer" in found[6]["responsePayload"]
    # the bodies of API calls are there, so that one sees what was said
    assert json.loads(found[1]["responsePayload"])["ticket"]["subject"] == "Printer"
    shown = _shown(found)
    for secret in (KEY, TOKEN, SIGNATURE, "1781078400", "86400", "nobody's business"):
        assert secret not in shown
    assert "a.png" in shown


def _shown(rows: list[dict[str, Any]]) -> str:
    return json.dumps(rows, default=str)
