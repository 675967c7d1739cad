"""Answers from the database: records with their relations expanded to exactly the depth asked for.

Depth 1 is a record's own fields, its relations as ``{"uuid": …}``; every level more expands the
relations of the level before. Two rules keep that finite and honest [A]:

* a record that is already open on the way down is a stub again (a note that is shown inside its
  ticket shows ``"ticket": {"uuid": …}``), so that nothing is expanded in circles;
* the bytes of a file are never part of an expansion.

What belongs here: turning rows into JSON text. A malformed record (``raw``) is handed out as it is.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from elite_pipeline.sandbox.toga2.documents import (
    ROW_COLUMNS,
    Row,
    decode_refs,
    splice,
    to_json,
)
from elite_pipeline.sandbox.toga2.problems import not_found
from elite_pipeline.sandbox.toga2.query import ListQuery
from elite_pipeline.sandbox.toga2.schema import RESOURCES, Children, Resource

#: The number of a client's scope for a route.
ScopeOf = Callable[[str], int]


class Page(NamedTuple):
    """The records of a page as JSON texts, and their uuids."""

    texts: list[str]
    uuids: list[str]


def find_row(
    connection: sqlite3.Connection, scope_of: ScopeOf, resource: Resource, uuid: str
) -> Row | None:
    """Return the row of a record, or ``None`` if this client has none by that uuid."""
    found = connection.execute(
        f"SELECT {ROW_COLUMNS} FROM records WHERE scope = ? AND uuid = ?",
        (scope_of(resource.route), uuid),
    ).fetchone()
    return Row._make(found) if found else None


def existing_row(
    connection: sqlite3.Connection, scope_of: ScopeOf, resource: Resource, uuid: str
) -> Row:
    """Return the row of a record.

    Raises:
        RefusedError: This client has none by that uuid.
    """
    row = find_row(connection, scope_of, resource, uuid)
    if row is None:
        raise not_found(resource.label, uuid)
    return row


def child_rows(
    connection: sqlite3.Connection, scope_of: ScopeOf, children: Children, parent: str
) -> list[Row]:
    """Return the rows that hang on a record, oldest first."""
    found = connection.execute(
        f"SELECT {ROW_COLUMNS} FROM records WHERE scope = ? AND parent = ? ORDER BY created, uuid",
        (scope_of(children.route), parent),
    )
    return [Row._make(row) for row in found]


def read_page(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    query: ListQuery,
    *,
    depth: int,
) -> Page:
    """Read one page of a list."""
    # the plus keeps SQLite from walking an index of the whole scope where a lookup names the rows
    scope = "+scope = ?" if query.by_lookup else "scope = ?"
    where = " AND ".join([scope, *query.conditions])
    found = connection.execute(
        f"SELECT {ROW_COLUMNS} FROM records WHERE {where}"
        f" ORDER BY {query.order} LIMIT {query.limit} OFFSET {query.offset}",
        [scope_of(resource.route), *query.values],
    )
    rows = [Row._make(row) for row in found]
    return Page(render(connection, scope_of, resource, rows, depth), [row.uuid for row in rows])


def render(
    connection: sqlite3.Connection,
    scope_of: ScopeOf,
    resource: Resource,
    rows: list[Row],
    depth: int,
) -> list[str]:
    """Spell records of one resource as JSON, expanded to ``depth``."""
    if depth == 1 and resource.children is None:
        return [splice(row.own, row.refs) for row in rows]
    expansion = _Expansion(connection, scope_of, depth)
    expansion.load(resource, rows)
    return [expansion.text(resource, row, 1, frozenset()) for row in rows]


class _Expansion:
    """The records within reach of one answer, read level by level: a few statements per level."""

    def __init__(self, connection: sqlite3.Connection, scope_of: ScopeOf, depth: int) -> None:
        self._connection = connection
        self._scope_of = scope_of
        self._depth = depth
        self._rows: dict[tuple[str, str], Row] = {}
        self._refs: dict[tuple[str, str], dict[str, str | None]] = {}
        self._children: dict[tuple[str, str], list[str]] = {}

    def load(self, resource: Resource, rows: list[Row]) -> None:
        """Read everything that the answer can show, starting from its records."""
        level = {resource.route: rows}
        for number in range(1, self._depth + 1):
            following: dict[str, list[Row]] = defaultdict(list)
            wanted: dict[str, set[str]] = defaultdict(set)
            for route, found in level.items():
                self._add(RESOURCES[route], found, wanted, following, last=number == self._depth)
            for route, uuids in wanted.items():
                missing = [uuid for uuid in uuids if (route, uuid) not in self._rows]
                following[route] += self._fetch(route, missing)
            level = following

    def _add(
        self,
        resource: Resource,
        rows: Iterable[Row],
        wanted: dict[str, set[str]],
        following: dict[str, list[Row]],
        *,
        last: bool,
    ) -> None:
        """Take in the rows of one level, and note what the next level needs."""
        fresh = []
        for row in rows:
            key = (resource.route, row.uuid)
            if key in self._rows:
                continue
            self._rows[key] = row
            if row.raw:
                continue
            fresh.append(row.uuid)
            if last or not row.refs:
                continue
            refs = self._refs[key] = decode_refs(row.refs)
            for name, uuid in refs.items():
                if uuid is not None:
                    wanted[resource.relations_by_name[name].route].add(uuid)
        if fresh and resource.children is not None:
            found = self._fetch_children(resource, resource.children, fresh, stubs=last)
            following[resource.children.route] += found

    def _fetch(self, route: str, uuids: list[str]) -> list[Row]:
        if not uuids:
            return []
        found = self._connection.execute(
            f"SELECT {ROW_COLUMNS} FROM records"
            " WHERE scope = ? AND uuid IN (SELECT value FROM json_each(?))",
            (self._scope_of(route), to_json(uuids)),
        )
        return [Row._make(row) for row in found]

    def _fetch_children(
        self, resource: Resource, children: Children, parents: list[str], *, stubs: bool
    ) -> list[Row]:
        """Read what hangs on some records; where only stubs are shown, from the index alone."""
        for parent in parents:
            self._children[resource.route, parent] = []
        found = self._connection.execute(
            f"SELECT parent, {'uuid' if stubs else ROW_COLUMNS} FROM records WHERE scope = ?"
            " AND parent IN (SELECT value FROM json_each(?)) ORDER BY parent, created, uuid",
            (self._scope_of(children.route), to_json(parents)),
        )
        if stubs:
            for parent, uuid in found:
                self._children[resource.route, parent].append(uuid)
            return []
        rows = []
        for parent, *columns in found:
            row = Row._make(columns)
            self._children[resource.route, parent].append(row.uuid)
            rows.append(row)
        return rows

    def text(self, resource: Resource, row: Row, level: int, above: frozenset[str]) -> str:
        """Spell one record that stands on ``level``; ``above`` are the uuids it stands in."""
        if row.raw:
            return row.own
        inside = above | {row.uuid}
        refs = row.refs
        if level < self._depth and refs:
            routes = resource.relations_by_name
            refs = ",".join(
                f'"{name}":{self._related(routes[name].route, uuid, level, inside)}'
                for name, uuid in self._refs[resource.route, row.uuid].items()
            )
        listed = ""
        if resource.children is not None:
            route = resource.children.route
            records = ",".join(
                self._related(route, uuid, level, inside)
                for uuid in self._children[resource.route, row.uuid]
            )
            listed = f'"{resource.children.name}":[{records}]'
        return splice(row.own, refs, listed)

    def _related(self, route: str, uuid: str | None, level: int, inside: frozenset[str]) -> str:
        """Spell a related record: expanded on the next level, or a stub."""
        if uuid is None:
            return "null"
        row = self._rows.get((route, uuid))
        if row is None or level >= self._depth or uuid in inside:
            return f'{{"uuid":{to_json(uuid)}}}'
        return self.text(RESOURCES[route], row, level + 1, inside)
