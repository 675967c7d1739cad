"""What the pipeline remembers between runs. See :mod:`elite_pipeline.ledger.tables`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sa

from elite_pipeline import locks
from elite_pipeline.iteration import chunked
from elite_pipeline.ledger.carried import Carried
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.ledger.dead_letters import DeadLetters
from elite_pipeline.ledger.flow_states import FlowStates
from elite_pipeline.ledger.holders import Holders
from elite_pipeline.ledger.tables import (
    MOST_TARGET_CHARS,
    category_paths,
    dead_letters,
    memory,
    metadata,
    seen,
    waiting,
)
from elite_pipeline.ledger.uploads import Uploads

_CHUNK = 500
#: Rows that are copied at once.
_COPIED = 1_000


@dataclass(frozen=True, slots=True)
class SeenVersion:
    """One version of a record that is known to be written.

    Attributes:
        updated: TOGA 2's spelling of its ``_updated``, UTC.
        fingerprint: Of all that the list said of it: a second edit within one second has the same
            ``updated`` and another fingerprint.
    """

    uuid: str
    updated: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that waits for something that it refers to.

    Attributes:
        uuid: The record.
        kind: Where to look for the target, e.g. ``contact`` or ``author``.
        target: A uuid, or an e-mail address.
    """

    uuid: str
    kind: str
    target: str


class Ledger:
    """The memory of one client.

    Args:
        url: SQLAlchemy URL of the pipeline's database; the tables are made when they are missing.
        client: Whose memory.
        database: Where it is, in place of ``url``.
    """

    def __init__(self, url: str, client: str, *, database: LedgerDatabase | None = None) -> None:
        self._client = client
        self._database = LedgerDatabase(url) if database is None else database
        self._begin = self._database.begin
        #: What failed, and when it is tried again.
        self.dead_letters = DeadLetters(self._database, client)
        #: Files on their way into TOGA 2.
        self.uploads = Uploads(self._database, client)
        #: What was last carried of things, so that only what changed since is carried again.
        self.carried = Carried(self._database, client)
        #: What each flow last did; written at a run's end, and read by people.
        self.flow_states = FlowStates(self._database, client)
        #: Who is at each flow.
        self.holders = Holders(self._database, client)

    @property
    def client(self) -> str:
        """Whose memory it is."""
        return self._client

    def copy_to(self, other: LedgerDatabase, flow: str) -> None:
        """Copy what one flow goes by into another database; here nothing is written or made.

        Args:
            other: Where to; its tables are empty.
            flow: Its dead letters come with those of all others, which it may ask for too.
        """
        if not self._database.is_there():
            return
        with self._database.begin_reading() as source, other.begin() as target:
            there = set(sa.inspect(source).get_table_names())
            for table in metadata.sorted_tables:
                if table.name not in there or "client" not in table.c:
                    continue
                mine = table.c.client == self._client
                if "flow" in table.c and table is not dead_letters:
                    mine = self._mine(table, flow)
                found = source.execute(
                    sa.select(table).where(mine), execution_options={"yield_per": _COPIED}
                )
                for rows in found.mappings().partitions():
                    target.execute(sa.insert(table), [dict(row) for row in rows])

    def lock(self, name: str, wait_seconds: float) -> AbstractContextManager[locks.StillHeld]:
        """Hold a lock of this name, against every process that uses the same database."""
        return self._database.lock(name, wait_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def known(self, flow: str, uuids: Sequence[str]) -> dict[str, str]:
        """Return uuid -> fingerprint of the versions that are known to be written."""
        found: dict[str, str] = {}
        with self._begin() as connection:
            for chunk in chunked(uuids, _CHUNK):
                rows = connection.execute(
                    sa.select(seen.c.uuid, seen.c.fingerprint).where(
                        self._mine(seen, flow), seen.c.uuid.in_(chunk)
                    )
                )
                found.update({row.uuid: row.fingerprint for row in rows})
        return found

    def remember(self, flow: str, versions: Collection[SeenVersion]) -> None:
        """Record versions as written, in place of older ones of the same records."""
        rows = {
            version.uuid: {
                "client": self._client,
                "flow": flow,
                "uuid": version.uuid,
                "updated": version.updated,
                "fingerprint": version.fingerprint,
            }
            for version in versions
        }
        if not rows:
            return
        with self._begin() as connection:
            for chunk in chunked(rows, _CHUNK):
                connection.execute(
                    sa.delete(seen).where(self._mine(seen, flow), seen.c.uuid.in_(chunk))
                )
            connection.execute(sa.insert(seen), list(rows.values()))

    def forget_before(self, flow: str, updated: str) -> None:
        """Drop versions older than ``updated``: reading does not go back there any more."""
        with self._begin() as connection:
            connection.execute(
                sa.delete(seen).where(self._mine(seen, flow), seen.c.updated < updated)
            )

    def watermark(self, flow: str) -> str | None:
        """Return the watermark that the memory of a flow belongs to; None: there is no memory."""
        with self._begin() as connection:
            found = connection.execute(
                sa.select(memory.c.watermark).where(self._mine(memory, flow))
            ).scalar()
        return str(found) if found is not None else None

    def set_watermark(self, flow: str, watermark: str) -> None:
        """Say which watermark the memory of a flow belongs to from now on."""
        with self._begin() as connection:
            connection.execute(sa.delete(memory).where(self._mine(memory, flow)))
            connection.execute(
                sa.insert(memory).values(client=self._client, flow=flow, watermark=watermark)
            )

    def forget(self, flow: str) -> None:
        """Drop all versions of a flow."""
        with self._begin() as connection:
            connection.execute(sa.delete(seen).where(self._mine(seen, flow)))

    def add_waiting(self, flow: str, entries: Iterable[Waiting]) -> None:
        """Let records wait for something more, beside what they wait for already."""
        rows = [
            (entry.uuid, entry.kind, entry.target)
            for entry in entries
            if len(entry.target) <= MOST_TARGET_CHARS
        ]
        key = (waiting.c.uuid, waiting.c.kind, waiting.c.target)
        with self._begin() as connection:
            for chunk in chunked(dict.fromkeys(rows), _CHUNK // 3):
                connection.execute(
                    sa.delete(waiting).where(self._mine(waiting, flow), sa.tuple_(*key).in_(chunk))
                )
                connection.execute(
                    sa.insert(waiting),
                    [
                        {"client": self._client, "flow": flow}
                        | dict(zip(("uuid", "kind", "target"), row, strict=True))
                        for row in chunk
                    ],
                )

    def waiting(self, flow: str) -> Iterator[list[Waiting]]:
        """Yield what waits for something, in chunks."""
        last: tuple[str, str, str] = ("", "", "")
        key = (waiting.c.uuid, waiting.c.kind, waiting.c.target)
        while True:
            with self._begin() as connection:
                rows = connection.execute(
                    sa.select(*key)
                    .where(self._mine(waiting, flow), sa.tuple_(*key) > last)
                    .order_by(*key)
                    .limit(_CHUNK)
                ).all()
            if not rows:
                return
            yield [Waiting(row.uuid, row.kind, row.target) for row in rows]
            last = (rows[-1].uuid, rows[-1].kind, rows[-1].target)

    def waiting_among(self, flow: str, uuids: Collection[str]) -> set[str]:
        """Return which of some records wait for something."""
        with self._begin() as connection:
            return {
                uuid
                for some in chunked(uuids, _CHUNK)
                for (uuid,) in connection.execute(
                    sa.select(waiting.c.uuid).where(
                        self._mine(waiting, flow), waiting.c.uuid.in_(some)
                    )
                )
            }

    def set_waiting(self, flow: str, uuids: Collection[str], now: Iterable[Waiting]) -> None:
        """Replace all that the given records wait for.

        A target that is longer than anything in the helpdesk is not waited for.
        """
        rows = {
            (entry.uuid, entry.kind, entry.target): {
                "client": self._client,
                "flow": flow,
                "uuid": entry.uuid,
                "kind": entry.kind,
                "target": entry.target,
            }
            for entry in now
            if len(entry.target) <= MOST_TARGET_CHARS
        }
        with self._begin() as connection:
            for chunk in chunked(uuids, _CHUNK):
                connection.execute(
                    sa.delete(waiting).where(self._mine(waiting, flow), waiting.c.uuid.in_(chunk))
                )
            if rows:
                connection.execute(sa.insert(waiting), list(rows.values()))

    def category_paths(self) -> dict[str, str]:
        """Return category uuid -> the path under which it was last written."""
        with self._begin() as connection:
            rows = connection.execute(
                sa.select(category_paths.c.uuid, category_paths.c.path).where(
                    category_paths.c.client == self._client
                )
            )
            return {row.uuid: row.path for row in rows}

    def set_category_paths(self, paths: Mapping[str, str]) -> None:
        """Replace what :meth:`category_paths` returns."""
        rows = [
            {"client": self._client, "uuid": uuid, "path": path} for uuid, path in paths.items()
        ]
        with self._begin() as connection:
            connection.execute(
                sa.delete(category_paths).where(category_paths.c.client == self._client)
            )
            if rows:
                connection.execute(sa.insert(category_paths), rows)

    def _mine(self, table: sa.Table, flow: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.client == self._client, table.c.flow == flow)
