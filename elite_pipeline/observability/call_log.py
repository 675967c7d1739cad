"""The call log: what a transport tells of every attempt, written to ``ClientLogs.Api``.

``spec/sync.md`` section 9. The sync only puts what it is told into a queue; a thread of the log's own
makes rows and writes them, many at once. Whatever happens to the log's database, the sync neither
waits nor fails: the queue is bounded, and what does not get through is counted.

What waits is small: files are taken out of large bodies before anything is kept of these.

What does not belong here: what a row holds (``call_log_rows``), and asking for rows
(``call_search``).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from elite_pipeline.observability.call_log_rows import RowMaker
from elite_pipeline.observability.call_log_tables import api
from elite_pipeline.observability.defects import DefectNet
from elite_pipeline.observability.file_bodies import lightened
from elite_pipeline.observability.quick_text import QuickText, teach
from elite_pipeline.own_tables import shown
from elite_pipeline.transport import Exchange

logger = logging.getLogger(__name__)

#: Calls that may wait to be written, and bytes of their bodies.
CAPACITY = 5000
BODY_BYTES = 32 << 20
#: Rows a batch; and how long a batch that is not full waits for more, in seconds.
BATCH = 200
LINGER_SECONDS = 0.5
#: How long closing waits for what is still to be written, in seconds.
FLUSH_SECONDS = 5.0
#: How often a batch is tried, and the pause before each further try, in seconds.
TRIES = 3
PAUSE_SECONDS = 1.0
#: The part of a server's largest packet that a body may take: a row has two, and escaping may double
#: them.
_PACKET_PART = 5
#: Bodies this small are kept even when the log is behind.
_SMALL_BODY_BYTES = 4096


@dataclass(frozen=True, slots=True)
class _Entry:
    exchange: Exchange
    source: str
    size: int


class CallLog:
    """Writes one run's calls. Safe to use from several threads; none of its methods raises.

    Args:
        engine: The log's database; disposed of by the log.
        rows: Makes the rows.
        client: Whose calls they are.
        capacity: Calls that may wait; one more is dropped and counted.
        body_bytes: Bytes of bodies that may wait; beyond it calls are kept and large bodies are not.
        flush_seconds: The most that :meth:`close` takes.
        tell: Told at the end of calls that are missing and that :meth:`remarks` has not spoken of; by
            default the process's log.
    """

    def __init__(
        self,
        engine: sa.Engine,
        rows: RowMaker,
        *,
        client: str,
        capacity: int = CAPACITY,
        body_bytes: int = BODY_BYTES,
        flush_seconds: float = FLUSH_SECONDS,
        tell: Callable[[str], None] = logger.warning,
    ) -> None:
        self._engine = engine
        self._is_server = engine.dialect.name != "sqlite"
        if self._is_server:
            teach(engine)
        self._rows = rows
        self._client = client
        self._capacity = capacity
        self._body_bytes = body_bytes
        self._flush_seconds = flush_seconds
        self._tell = tell
        self._source = client
        self._is_ready = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        # all of the following is touched with the condition held
        self._waiting: deque[_Entry] = deque()
        self._in_hand = 0
        self._bytes = 0
        self._dropped = 0
        self._told = 0
        self._reason = ""
        self._is_abandoned = False
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Calls so far that have no row, or of which it is not known."""
        with self._changed:
            return self._dropped

    def begin(self, flow: str) -> None:
        """Say which flow the calls from now on belong to."""
        self._source = f"{self._client}/{flow}"

    def add(self, exchange: Exchange) -> None:
        """Take one attempt; waits for nobody."""
        # a defect here must not fail the call, which may have had its effect
        with DefectNet(self._rows.redact) as net:
            self._add(lightened(exchange))
        if net.reason:
            with self._changed:
                self._drop(1, net.reason)

    def _add(self, exchange: Exchange) -> None:
        size = len(exchange.request_body or b"") + len(exchange.response_body or b"")
        with self._changed:
            if self._closing.is_set() or len(self._waiting) + self._in_hand >= self._capacity:
                self._drop(1, "more calls waited than it could keep up with")
                return
            if self._bytes + size > self._body_bytes:
                exchange, size = _without_large_bodies(exchange)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="call-log", daemon=True)
                thread.start()
                self._thread = thread
            self._waiting.append(_Entry(exchange, self._source, size))
            self._bytes += size
            if len(self._waiting) in {1, BATCH}:
                self._changed.notify()

    def remarks(self) -> list[str]:
        """Say how many calls were dropped since this was last asked; nothing when none were."""
        with self._changed:
            new, self._told = self._dropped - self._told, self._dropped
            if not new:
                return []
            calls = "1 call is" if new == 1 else f"{new} calls are"
            return [f"{calls} missing in the call log, and nowhere else: {self._reason}"]

    def close(self) -> None:
        """Write what waits, within a bounded time; what was dropped and not told goes to the log."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(self._flush_seconds)
        else:
            self._engine.dispose()
        with self._changed:
            left = len(self._waiting) + self._in_hand
            if left:
                # the thread is stuck in the database; it ends with the process at the latest
                self._is_abandoned = True
                self._waiting.clear()
                self._drop(left, f"not written within {self._flush_seconds:g} s of the run's end")
        for remark in self.remarks():
            self._tell(f"{self._client}: {remark}")

    def _drop(self, count: int, reason: str) -> None:
        self._dropped += count
        self._reason = reason

    def _work(self) -> None:
        while batch := self._next_batch():
            lost, reason = self._write(batch)
            with self._changed:
                if self._is_abandoned:
                    break
                self._in_hand = 0
                self._bytes -= sum(entry.size for entry in batch)
                if lost:
                    self._drop(lost, reason)
        self._engine.dispose()

    def _next_batch(self) -> list[_Entry]:
        """Wait for calls and return them; nothing when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
            self._changed.wait_for(
                lambda: len(self._waiting) >= BATCH or self._closing.is_set(), LINGER_SECONDS
            )
            count = min(BATCH, len(self._waiting))
            self._in_hand = count
            return [self._waiting.popleft() for _ in range(count)]

    def _write(self, batch: list[_Entry]) -> tuple[int, str]:
        """Write a batch; return how many of its calls have no row, and why."""
        # a defect here must not end the thread: the sync would go on without its log
        with DefectNet(self._rows.redact) as net:
            return self._store(batch)
        return len(batch), net.reason

    def _store(self, batch: list[_Entry]) -> tuple[int, str]:
        rows: list[dict[str, Any]] | None = None
        reason = ""
        for attempt in range(1, TRIES + 1):
            is_decided = True
            try:
                with self._engine.connect() as connection:
                    self._prepare(connection)
                    if rows is None:
                        rows, reason = self._made(batch)
                    if rows:
                        connection.execute(sa.insert(api), rows)
                        # without a commit there is no row: only from here on nobody knows
                        is_decided = False
                        connection.commit()
                    return len(batch) - len(rows), reason
            except sa.exc.DBAPIError as error:
                reason = self._said(error)
                if isinstance(error, sa.exc.DataError):
                    # no better when repeated; but it may be the fault of one row alone
                    if len(batch) == 1:
                        break
                    lost = [self._store([one]) for one in batch]
                    return sum(count for count, _ in lost), reason
                if not is_decided:
                    # the rows may be there: written again, they would be there twice
                    break
            if self._is_abandoned:
                # they were counted as missing
                break
            if attempt < TRIES:
                self._closing.wait(PAUSE_SECONDS)
        return len(batch), reason

    def _made(self, batch: list[_Entry]) -> tuple[list[dict[str, Any]], str]:
        """Return the rows of a batch; one that cannot be made spoils no other."""
        rows, reason = [], ""
        for entry in batch:
            with DefectNet(self._rows.redact) as net:
                rows.append(self._row(entry))
            reason = net.reason or reason
        return rows, reason

    def _row(self, entry: _Entry) -> dict[str, Any]:
        row = self._rows.row(entry.exchange, entry.source)
        if self._is_server:
            for name in ("requestPayload", "responsePayload"):
                if row[name] is not None:
                    row[name] = QuickText(row[name])
        return row

    def _prepare(self, connection: sa.Connection) -> None:
        """Find out, once, how much the server takes; a file of SQLite's gets its table."""
        if self._is_ready:
            return
        if self._is_server:
            packet = connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one()
            self._rows.payload_bytes = min(self._rows.payload_bytes, int(packet) // _PACKET_PART)
        else:
            connection.execute(sa.schema.CreateTable(api, if_not_exists=True))
        connection.commit()
        self._is_ready = True

    def _said(self, error: sa.exc.DBAPIError) -> str:
        return (
            f"its database ({shown(self._engine)}) failed: {self._rows.redact(str(error.orig))}. "
            "Check CLIENT_LOGS_DATABASE_URL; `elite-pipeline init-db` makes the table"
        )


def _without_large_bodies(exchange: Exchange) -> tuple[Exchange, int]:
    kept = [
        body
        if body is None or len(body) <= _SMALL_BODY_BYTES
        else b"[not kept: %d bytes, more than may wait for the call log]" % len(body)
        for body in (exchange.request_body, exchange.response_body)
    ]
    return (
        replace(exchange, request_body=kept[0], response_body=kept[1]),
        sum(len(body or b"") for body in kept),
    )
