"""What a dry run would have written into the helpdesk's database, laid over what is there.

New rows, and rows that would hold something else, stand in a temporary SQLite file of its own, in the
tables as they are declared; so the run reads what it has written, and memory does not grow with it.

What does not belong here: how a read puts both together (``planned``).
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from elite_pipeline.togadesk import tables
from elite_pipeline.togadesk.bulk import in_chunks

#: What the file may keep in memory, in kibibytes.
_CACHE_KIB = 8_192
#: Values in one IN list; far below SQLite's limit for parameters.
_LOOKUP = 500
#: What rows are looked up by: after a first sync of a million there are as many here.
_LOOKED_UP = frozenset({"referenceId", "ticketid", "ticketreplyid", "name"})

_metadata = sa.MetaData()
_gone = sa.Table(
    "elite_pipeline_gone",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
)


class Overlay:
    """The rows that would be there, and those that would not be there any more."""

    def __init__(self) -> None:
        # The empty name is a temporary file that SQLite deletes, also when the process dies.
        self._engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect("", isolation_level=None, check_same_thread=False),
            poolclass=StaticPool,
        )
        self._connection = self._engine.connect()
        self._connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE_KIB}")
        tables.metadata.create_all(self._connection)
        _metadata.create_all(self._connection)
        for table in tables.metadata.tables.values():
            for name in _LOOKED_UP.intersection(table.c.keys()):
                # of its own name, and not part of the declared table, which the helpdesk owns
                self._connection.exec_driver_sql(
                    f'CREATE INDEX "{table.name}_{name}" ON "{table.name}" ("{name}")'
                )
        self._touched: set[str] = set()

    def close(self) -> None:
        """Delete the file."""
        self._connection.close()
        self._engine.dispose()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Undo what is written in a ``with`` block that raises."""
        self._connection.exec_driver_sql("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self._connection.exec_driver_sql("ROLLBACK TO attempt")
            raise
        finally:
            self._connection.exec_driver_sql("RELEASE attempt")

    def is_touched(self, table: str) -> bool:
        """Tell whether a table may have other rows than the real one."""
        return table in self._touched

    def touched(self, table: str, ids: Collection[int]) -> set[int]:
        """Return which rows are others than the real ones, or gone."""
        declared = tables.table(table)
        found: set[int] = set()
        for some in in_chunks(list(ids), _LOOKUP):
            changed = sa.select(declared.c.id).where(declared.c.id.in_(some))
            gone = sa.select(_gone.c.id).where(_gone.c.name == table, _gone.c.id.in_(some))
            found.update(row[0] for row in self._connection.execute(sa.union_all(changed, gone)))
        return found

    def rows(self, query: sa.Select[Any]) -> Sequence[Sequence[Any]]:
        """Return what a query finds among the rows that are new, or others than the real ones."""
        return self._connection.execute(query).all()

    def put(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Lay rows over those of the same ids; each names all columns."""
        if rows:
            self._touched.add(table)
            statement = sqlite.insert(tables.table(table))
            values = {name: statement.excluded[name] for name in rows[0] if name != "id"}
            self._connection.execute(
                # not "or replace", which would make room for a key that another row has
                statement.on_conflict_do_update(index_elements=["id"], set_=values),
                [dict(row) for row in rows],
            )

    def remove(self, table: str, ids: Sequence[int]) -> None:
        """Let rows be gone."""
        if ids:
            self._touched.add(table)
            declared = tables.table(table)
            for some in in_chunks(ids, _LOOKUP):
                self._connection.execute(sa.delete(declared).where(declared.c.id.in_(some)))
            self._connection.execute(
                sa.insert(_gone).prefix_with("OR IGNORE"),
                [{"name": table, "id": id_} for id_ in ids],
            )
