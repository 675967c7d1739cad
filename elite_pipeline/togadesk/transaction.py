"""One transaction on the helpdesk's database: set-based reads and writes, never one per record.

``TogadeskStore.run`` makes these.

What does not belong here: what is read (``reads``), when to commit or try again (``store``), how
statements get to the server (``sending``), texts of statements (``bulk``).
"""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from elite_pipeline.togadesk import names as name_tables
from elite_pipeline.togadesk import tables
from elite_pipeline.togadesk.bulk import RowReader, Values, fixed_values, in_chunks
from elite_pipeline.togadesk.reads import Reads
from elite_pipeline.togadesk.reference_index import key


class Tx(Reads):
    """A transaction of one client; valid inside ``TogadeskStore.run`` only.

    A write to a table that has ``clientid`` reaches this client's rows alone.

    Every method can raise the errors that ``TogadeskStore.run`` lists.
    """

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Insert rows; their ids ascend in the order given.

        Args:
            table: A declared table.
            rows: Values of some columns, the same ones in all rows. The other columns get their
                neutral value, ``clientid`` this client's id.

        Raises:
            ValueError: Rows differ in their columns, or belong to another client.
        """
        if not rows:
            return
        columns = tuple(rows[0])
        self._refuse_other_clients(rows)
        self._insert(table, columns, self._reader(table, columns).read(rows))

    def insert_columns(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Insert rows that are given column by column; as :meth:`insert`.

        Args:
            table: A declared table.
            columns: Name -> one value a row.

        Raises:
            ValueError: Columns are not equally long, or would say whose the rows are.
        """
        if "clientid" in columns:
            raise ValueError("Whose a row is follows from the transaction.")
        names = tuple(columns)
        self._insert(table, names, self._reader(table, names).from_columns([*columns.values()]))

    def _reader(self, table: str, columns: Sequence[str]) -> RowReader:
        return RowReader(self._table(table), columns, self._sender.dialect)

    def _insert(self, table: str, columns: tuple[str, ...], values: Sequence[Values]) -> None:
        if not values:
            return
        extra = self._schema.extra_columns(table)
        fixed = fixed_values(self._table(table), columns, extra, self._client_id)
        self._sender.write_rows(table, values, self._statements.insert(table, columns, fixed))
        if "referenceId" in columns:
            position = columns.index("referenceId")
            references = [row[position] for row in values if row[position] is not None]
            self._references.note_inserts(table, len(values), references)
        else:
            self._references.note_inserts(table, len(values), ())

    def insert_referenced(self, table: str, rows: Sequence[Mapping[str, object]]) -> dict[str, int]:
        """Insert rows that all have a ``referenceId``; return the new id of each reference.

        The ids are read back beyond the highest one before: a range of the primary key, also where
        nothing is indexed.
        """
        if not rows:
            return {}
        declared = self._table(table)
        before = self.highest_id(table)
        self.insert(table, rows)
        given = {key(str(row["referenceId"])): str(row["referenceId"]) for row in rows}
        query = (
            self._own(sa.select(declared.c.id, declared.c.referenceId), declared)
            .where(declared.c.id > before)
            .order_by(declared.c.id.desc())
        )
        ids: dict[str, int] = {}
        for some in in_chunks(list(given.values())):
            found = self._sender.read(query.where(declared.c.referenceId.in_(some)), table)
            ids.update({given[key(reference)]: id_ for id_, reference in found})
        return ids

    def update(self, table: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Change rows by id, about a thousand a statement; return how many of them exist.

        Args:
            table: A declared table.
            rows: ``id`` and the new values of some columns, the same ones in all rows. Of rows with
                the same id the last counts.

        Raises:
            ValueError: Rows differ in their columns, or would move to another client.
        """
        if not rows:
            return 0
        declared = self._table(table)
        columns = tuple(name for name in rows[0] if name != "id")
        if not columns:
            raise ValueError("An update must give a column beside the id.")
        self._refuse_other_clients(rows)
        latest = {row["id"]: row for row in rows}
        reader = RowReader(declared, (*columns, "id"), self._sender.dialect)
        values = reader.read(list(latest.values()))
        scope = self._client_id if tables.is_client_scoped(declared) else None
        changed = self._sender.write_rows(
            table, values, self._statements.update(table, columns, scope)
        )
        if "referenceId" in columns:
            position = columns.index("referenceId")
            self._references.learn(
                table, ((row[-1], row[position]) for row in values if row[position] is not None)
            )
        return changed

    def delete(self, table: str, ids: Sequence[int]) -> int:
        """Delete rows by id; return how many there were."""
        declared = self._table(table)
        deleted = 0
        for some in in_chunks(list(dict.fromkeys(ids))):
            statement = sa.delete(declared).where(declared.c.id.in_(some))
            if tables.is_client_scoped(declared):
                statement = statement.where(declared.c.clientid == self._client_id)
            deleted += self._sender.write(statement, table)
        return deleted

    def find_or_create_names(self, table: str, names: Collection[str]) -> dict[str, int]:
        """Return the id of each name in ``models``, ``manufacturers`` or ``assetcategories``.

        Names are found without regard to case; the ones that are not there are inserted. They must
        fit the column (``TogadeskStore.fit``).
        """
        return name_tables.find_or_create(self, table, names)

    def _refuse_other_clients(self, rows: Sequence[Mapping[str, object]]) -> None:
        if "clientid" in rows[0] and any(row["clientid"] != self._client_id for row in rows):
            raise ValueError(f"A row of another client than {self._client_id} is not written.")
