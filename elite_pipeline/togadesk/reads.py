"""What one transaction reads from the helpdesk's database: sets of rows, never one row per record.

What does not belong here: writes (``transaction``), how statements get to the server (``sending``), which
row carries which reference where no index tells (``reference_index``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from elite_pipeline.togadesk import changed_tickets, selection_ways, tables, unsent, walks
from elite_pipeline.togadesk.bulk import Statements, in_chunks
from elite_pipeline.togadesk.reference_index import ReferenceIndex, key
from elite_pipeline.togadesk.rows import ReferencedRows, Row
from elite_pipeline.togadesk.schema import Schema
from elite_pipeline.togadesk.sending import Count, Sender
from elite_pipeline.togadesk.text import TextLimits

#: Beginnings of names in one statement.
_PREFIXES = 100


class Reads:
    """The reads of a transaction of one client; valid inside ``TogadeskStore.run`` only.

    All names of tables and columns are the declared ones (``tables``). Every method can raise the errors
    that ``TogadeskStore.run`` lists.
    """

    def __init__(
        self,
        connection: sa.Connection,
        *,
        client_id: int,
        schema: Schema,
        references: ReferenceIndex,
        statements: Statements,
        count: Count,
    ) -> None:
        self._sender = Sender(connection, schema, statements, count)
        self._client_id = client_id
        self._schema = schema
        self._references = references
        self._statements = statements

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        where: Mapping[str, object] | None = None,
        in_: tuple[str, Sequence[object]] | None = None,
    ) -> list[Row]:
        """Return rows of any client, in the order of ``id`` where that is one of the columns.

        Text compares as the server's collation does (without regard to case, as a rule).

        Args:
            table: A declared table.
            columns: Columns to read.
            where: Values that columns must have; None means NULL.
            in_: A column and the values that it may have, any number of them.
        """
        rows = [
            Row(zip(columns, values, strict=True))
            for values in self.select_values(table, columns, where=where, in_=in_)
        ]
        if "id" not in columns:
            return rows
        # Two spellings of one value may have found the same row in two chunks.
        return _by_id({row.id: row for row in rows}.values())

    def select_values(
        self,
        table: str,
        columns: Sequence[str],
        *,
        where: Mapping[str, object] | None = None,
        in_: tuple[str, Sequence[object]] | None = None,
    ) -> list[Sequence[Any]]:
        """Return the values of ``columns`` of rows of any client.

        Like :meth:`select` with the same arguments, and cheaper where most rows are only compared:
        in the order of ``id`` without ``in_``, else in none; the same row may come twice for two
        spellings of one value.
        """
        declared = self._table(table)
        where = where or {}
        if in_ is None:
            return list(self._sender.read_all(declared, columns, where))
        name, values = in_
        found: list[Sequence[Any]] = []
        for some in in_chunks(list(dict.fromkeys(values))):
            found += self._sender.read_in(declared, columns, where, (name, some))
        return found

    def select_by_reference(
        self, table: str, columns: Sequence[str], uuids: Collection[str]
    ) -> ReferencedRows:
        """Return this client's rows by ``referenceId``.

        Where a table has no ``clientid`` (``tickets_replies``), all of its rows are looked at.
        Several rows with one reference: the lowest id wins, and ``duplicates`` counts the others
        (not those that appear while the store lives).
        """
        declared = self._table(table)
        wanted: dict[str, list[str]] = {}
        for uuid in uuids:
            if uuid:
                wanted.setdefault(key(uuid), []).append(uuid)
        needed = tuple(dict.fromkeys(("id", "referenceId", *columns)))
        rows: list[Row] = []
        for some in in_chunks(list(wanted)):
            if self._schema.is_indexed(table, "referenceId") or self._references.scan_is_due(table):
                rows += self._own_rows(declared, needed, ("referenceId", some))
            else:
                rows += self._spilled(declared, needed, some)
        return _by_reference(rows, wanted, columns)

    def select_unreferenced(
        self, table: str, columns: Sequence[str], ticket_ids: Collection[int]
    ) -> list[Row]:
        """Return the rows under some tickets that mirror nothing in TOGA 2 yet, by id.

        Args:
            table: ``tickets_replies`` or ``comments``.
            columns: Columns to read, ``id`` among them.
            ticket_ids: Of this client: who asks has made sure of it.
        """
        declared = self._table(table)
        reference = declared.c.referenceId
        query = (
            sa.select(*(declared.c[name] for name in columns))
            .where(sa.or_(reference.is_(None), reference == ""))
            .order_by(declared.c.id)
        )
        return [
            Row(zip(columns, values, strict=True))
            for some in in_chunks(sorted(ticket_ids))
            for values in self._sender.read(query.where(declared.c.ticketid.in_(some)), table)
        ]

    def select_files_named(self, columns: Sequence[str], prefixes: Sequence[str]) -> list[Row]:
        """Return this client's files that are under no reply, by the beginning of their names.

        Args:
            columns: Columns to read, ``id`` among them.
            prefixes: Of letters, digits and hyphens.
        """
        declared = self._table("files")
        query = (
            sa.select(*(declared.c[name] for name in columns))
            .where(declared.c.clientid == self._client_id, declared.c.ticketreplyid == 0)
            .order_by(declared.c.id)
        )
        return [
            Row(zip(columns, values, strict=True))
            for some in in_chunks(list(prefixes), _PREFIXES)
            for values in self._sender.read(
                query.where(sa.or_(*(declared.c.name.like(f"{prefix}%") for prefix in some))),
                "files",
            )
        ]

    def select_by_reference_start(
        self, table: str, columns: Sequence[str], starts: Sequence[str]
    ) -> list[Row]:
        """Return the rows whose ``referenceId`` begins in one of some ways, other clients' among them.

        The whole table is read for it where it has no index.

        Args:
            table: One that has a ``referenceId``.
            columns: Columns to read, ``id`` among them.
            starts: Of letters and digits.
        """
        declared = self._table(table)
        query = sa.select(*(declared.c[name] for name in columns)).order_by(declared.c.id)
        reference = declared.c.referenceId
        return [
            Row(zip(columns, values, strict=True))
            for some in in_chunks(list(starts), _PREFIXES)
            for values in self._sender.read(
                query.where(sa.or_(*(reference.like(f"{start}%") for start in some))), table
            )
        ]

    def now(self) -> datetime:
        """Return the time of the server, aware, UTC, in whole seconds."""
        ((said,),) = self._sender.read(sa.select(self._clock), "(the server's clock)")
        return _instant(said)

    @property
    def _clock(self) -> sa.ColumnElement[Any]:
        if self._sender.dialect.name == "sqlite":
            return sa.func.datetime("now")
        return sa.func.utc_timestamp()

    def changed_tickets(
        self, departments: Sequence[int], after: datetime | None, *, is_far: bool = False
    ) -> changed_tickets.ChangedTickets:
        """Return this client's tickets with something newer than a point, in one statement.

        Where the point is far back, or may be, up to five small ones more tell which is the quicker one.

        Args:
            departments: Ids of departments; tickets of others are left out.
            after: Naive, in the helpdesk's zone; what is strictly newer counts (see
                ``TogadeskStore.local_lower_bound``). None: all tickets.
            is_far: Whether it may lie before most of what there is.
        """
        for table in ("tickets", "tickets_replies", "comments"):
            self._schema.require(table)
        if not departments:
            return changed_tickets.ChangedTickets()
        guess = selection_ways.Guess(self._sender, self._client_id, departments)
        way = guess.quickest(after, is_far=is_far)
        dialect = self._sender.dialect.name
        query = changed_tickets.query(self._client_id, departments, after, dialect, way)
        return changed_tickets.ChangedTickets(self._sender.stream_numbers(query, "tickets"))

    def unsent(self, departments: Sequence[int], at_or_after: datetime) -> unsent.Unsent:
        """Return whether TOGA 2 lacks something of this client's tickets, in one statement.

        Args:
            departments: Ids of departments; tickets of others are left out.
            at_or_after: Naive, in the helpdesk's zone; what is older does not count (see
                ``TogadeskStore.local_lower_bound``).
        """
        for table in ("tickets", "tickets_replies", "comments"):
            self._schema.require(table)
        query = unsent.query(self._client_id, departments, at_or_after, self._clock)
        ((now, oldest, newest),) = self._sender.read(query, "tickets")
        return unsent.Unsent(_instant(now), oldest, newest)

    def highest_id(self, table: str) -> int:
        """Return the highest id in a table, 0 when it is empty."""
        declared = self._table(table)
        ((highest,),) = self._sender.read(sa.select(sa.func.max(declared.c.id)), table)
        return int(highest or 0)

    def count_referenced(self, table: str) -> int:
        """Return how many rows of this client carry a reference."""
        declared = self._table(table)
        query = self._own(sa.select(sa.func.count()).select_from(declared), declared)
        ((counted,),) = self._sender.read(query.where(declared.c.referenceId > ""), table)
        return int(counted)

    def references(self, table: str, after: int, until: int, most: int) -> list[tuple[int, str]]:
        """Return id and reference of this client's rows with ``after < id <= until``, by id."""
        declared = self._table(table)
        query = (
            self._own(sa.select(declared.c.id, declared.c.referenceId), declared)
            .where(declared.c.id > after, declared.c.id <= until)
            .where(declared.c.referenceId.is_not(None))
            .order_by(declared.c.id)
            .limit(most)
        )
        for dialect in ("mysql", "mariadb"):
            # Else a server may sort the whole table for every chunk.
            query = query.with_hint(declared, "FORCE INDEX (PRIMARY)", dialect)
        return [(row[0], row[1]) for row in self._sender.read(query, table)]

    def walk(self, walk: walks.Walk, after: int, most: int) -> list[Sequence[Any]]:
        """Return the next rows of a table of this client behind an id, by id (``walks.COLUMNS``)."""
        query, id_ = self._walked(walk)
        return self._steps(walk, query.where(id_ > after).order_by(id_).limit(most))

    def walk_some(self, walk: walks.Walk, ids: Collection[int]) -> list[Sequence[Any]]:
        """Return the same of those of some rows that are there, by id."""
        query, id_ = self._walked(walk)
        return [
            row
            for some in in_chunks(sorted(ids))
            for row in self._steps(walk, query.where(id_.in_(some)).order_by(id_))
        ]

    def limits(self, table: str, column: str) -> TextLimits:
        """Return what a text column can hold (see ``TogadeskStore.limits``)."""
        return self._schema.limits(table, column)

    @property
    def schema(self) -> Schema:
        """What the server has."""
        return self._schema

    # How

    def _table(self, table: str) -> sa.Table:
        self._schema.require(table)
        return tables.table(table)

    def _walked(self, walk: walks.Walk) -> tuple[sa.Select[Any], sa.Column[Any]]:
        self._schema.require(walk)
        return walks.query(walk, self._client_id, self._sender.dialect.name)

    def _steps(self, walk: walks.Walk, query: sa.Select[Any]) -> list[Sequence[Any]]:
        columns, declared = walks.COLUMNS[walk], tables.table(walk)
        texts = [name for name in columns if name in declared.c and name not in walks.NO_TEXTS]
        rows = self._sender.read_packed(query, columns, walk, texts)
        if self._sender.dialect.name != "sqlite" or "digest" not in columns:
            return list(rows)
        return [(*row[:-1], walks.digest_of(row[-1])) for row in rows]

    def _own(self, query: sa.Select[Any], declared: sa.Table) -> sa.Select[Any]:
        if not tables.is_client_scoped(declared):
            return query
        return query.where(declared.c.clientid == self._client_id)

    def _own_rows(
        self, declared: sa.Table, columns: Sequence[str], in_: tuple[str, Sequence[object]]
    ) -> list[Row]:
        where = {"clientid": self._client_id} if tables.is_client_scoped(declared) else {}
        return [
            Row(zip(columns, values, strict=True))
            for values in self._sender.read_in(declared, columns, where, in_)
        ]

    def _spilled(
        self, declared: sa.Table, columns: Sequence[str], keys: Sequence[str]
    ) -> list[Row]:
        """Ask the reference index, which may name rows that have changed or gone since."""
        table = declared.name
        rows: dict[int, Row] = {}

        def read(references: Collection[str]) -> bool:
            ids, may_be_own = self._references.candidates(self, table, references)
            for some in in_chunks([id_ for id_ in ids if id_ not in rows]):
                for row in self._own_rows(declared, columns, ("id", some)):
                    rows[row.id] = row
            return may_be_own

        may_be_own = read(keys)
        missing = set(keys).difference([key(row.referenceId or "") for row in rows.values()])
        if missing and self._references.top_up(self, table, may_be_own=may_be_own):
            read(missing)
        return list(rows.values())


def _instant(said: object) -> datetime:
    """Return what the server's clock says, which is in UTC."""
    return datetime.fromisoformat(str(said)).replace(tzinfo=UTC)


def _by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=itemgetter("id"))


def _by_reference(
    rows: list[Row], wanted: Mapping[str, list[str]], columns: Sequence[str]
) -> ReferencedRows:
    """Keep the rows that do carry a wanted reference, the lowest id of each."""
    found = ReferencedRows()
    for row in _by_id(rows):
        given = wanted.get(key(row["referenceId"] or ""))
        if not given:
            continue
        if given[0] in found:
            found.duplicates += 1
            continue
        kept = Row((name, row[name]) for name in columns)
        found.update(dict.fromkeys(given, kept))
    return found
