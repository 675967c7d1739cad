"""Files of 40 MB: the call log has their size and hash, and neither their bytes nor the memory."""

import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect
from elite_pipeline.transport import Redactor
from elite_pipeline_tests.support.call_logs import SETTING, LogDatabase
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener
from elite_pipeline_tests.support.scripted_http import Reply, scripted
from elite_pipeline_tests.unit.test_call_log_rows import EXCHANGE

MEGABYTES = 40
TIMES = 3


@pytest.fixture
def helpdesk(open_helpdesk: Opener) -> Helpdesk:
    return open_helpdesk("sqlite")


def as_php_writes(content: bytes) -> bytes:
    text = base64.b64encode(content).replace(b"/", rb"\/")
    return b'{"data":{"files":{"uuid":"u","data":"%s","name":"a"}}}' % text


def left_out(payload: str) -> str:
    document = json.loads(payload)
    found: str = document.get("data") or document["data"]["files"]["data"]
    return found if isinstance(found, str) else found["files"]["data"]


@pytest.mark.parametrize("encoding", ["plain", "gzip"])
def test_large_files_pass_in_little_memory_also_when_the_log_does_not_move(
    log: LogDatabase, encoding: str
) -> None:
    log.make()
    content = os.urandom(1 << 20) * MEGABYTES
    digest = hashlib.sha256(content).hexdigest()
    answer = as_php_writes(content)
    headers = {"Content-Type": "application/json"}
    if encoding == "gzip":
        answer = gzip.compress(answer, 1)
        headers["Content-Encoding"] = "gzip"
    small, large = Reply(), Reply(200, answer, headers)
    program = [sys.executable, "-m", "elite_pipeline_tests.support.large_files"]
    with scripted(small, *[small, large] * TIMES, small) as server:
        child = subprocess.Popen(
            [*program, server.url, log.url, str(MEGABYTES), str(TIMES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            with log.held():
                # what waits for the log waits for as long as this takes
                told = json.loads(child.stdout.readline())
            rest, _ = child.communicate()
        finally:
            child.kill()
            child.wait()
    # what is sent, or what was received twice while it is put together, and a little
    assert told["peak"] <= 3.5, told
    assert told["sizes"] == [MEGABYTES << 20] * TIMES
    assert told["fetched"] == [digest] * TIMES
    assert json.loads(rest) == {"dropped": 0}
    rows = log.rows()[1:]
    size = MEGABYTES << 20
    up, down = rows[::2], rows[1::2]
    assert [left_out(row["requestPayload"]) for row in up] == [
        f"[base64 left out: {size} bytes, sha256 {sent}]" for sent in told["sent"]
    ]
    assert [left_out(row["responsePayload"]) for row in down] == [
        f"[base64 left out: {size} bytes, sha256 {digest}]"
    ] * TIMES


def test_a_buffer_that_is_used_again_does_not_change_what_is_logged(log: LogDatabase) -> None:
    log.make()
    rows = RowMaker(Redactor(), transaction_id="t", instance_id="h")
    opened = CallLog(connect(log.url, SETTING, timeout_seconds=30), rows, client="elite")
    body = bytearray(b'{"name": "first"}')
    with log.held():
        opened.add(replace(EXCHANGE, request_body=body))
        body[:] = b"overwritten"
    opened.close()
    assert log.rows()[0]["requestPayload"] == '{"name": "first"}'
