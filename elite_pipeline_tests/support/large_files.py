"""A process of its own that sends and fetches large files, its calls logged, and tells its peak memory.

``python -m elite_pipeline_tests.support.large_files <server> <log database> <megabytes> <times>``
"""

import base64
import hashlib
import json
import os
import sys
from functools import partial
from pathlib import Path

import click

from elite_pipeline.embedded_files import data_values, decoded
from elite_pipeline.observability.call_log import CallLog
from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.own_tables import connect
from elite_pipeline.transport import Redactor, Transport

#: A multiple of three, so that pieces can be encoded one by one.
_PIECE = 3 << 18


def memory(name: str) -> int:
    """Return one of the process's figures, e.g. ``VmHWM``, its peak, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)


def _body(megabytes: int, digest: "hashlib._Hash") -> bytearray:
    """Return what an upload sends, made as it is made from a file on disk."""
    body, left = bytearray(b'{"name": "a.bin", "data": "'), megabytes << 20
    while left:
        piece = os.urandom(min(_PIECE, left))
        left -= len(piece)
        digest.update(piece)
        body += base64.b64encode(piece)
    body += b'"}'
    return body


def _fetched(content: bytes, digest: "hashlib._Hash") -> int:
    """Read the file of an answer, as it is written to disk."""
    size = 0
    for span in data_values(content):
        for piece in decoded(content, span):
            size += len(piece)
            digest.update(piece)
    return size


def main(server: str, log_url: str, megabytes: int, times: int) -> None:
    """Do it, and print the peak as a multiple of the file, and what was sent and fetched."""
    log = CallLog(
        connect(log_url, "CLIENT_LOGS_DATABASE_URL", timeout_seconds=30),
        RowMaker(Redactor(["a-secret"]), transaction_id="large", instance_id="h"),
        client="elite",
        flush_seconds=60,
    )
    transport = Transport(
        system="S",
        base_url=server,
        pool_size=1,
        redactor=Redactor(),
        on_exchange=log.add,
    )
    send = partial(
        transport.request,
        url=f"{server}/v2/files",
        read_error=lambda _: (None, ""),
        headers={"Content-Type": "application/json"},
        auth=("key", "secret"),
        repeatable=False,
    )
    send("POST", body=bytearray(b"{}"), parse=len)
    before = memory("VmRSS")
    sent, fetched, sizes = [], [], []
    for _ in range(times):
        digest = hashlib.sha256()
        send("POST", body=_body(megabytes, digest), parse=len)
        sent.append(digest.hexdigest())
        digest = hashlib.sha256()
        sizes.append(send("GET", parse=partial(_fetched, digest=digest)).body)
        fetched.append(digest.hexdigest())
    peak = (memory("VmHWM") - before) / (megabytes << 20)
    click.echo(json.dumps({"peak": peak, "sent": sent, "fetched": fetched, "sizes": sizes}))
    sys.stdin.read()
    log.close()
    transport.close()
    click.echo(json.dumps({"dropped": log.dropped}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
