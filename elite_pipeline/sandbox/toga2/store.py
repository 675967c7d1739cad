"""The records of a sandbox: what tests and demos put in, and what the HTTP side reads and writes.

Every write moves ``_updated`` to the clock's present, at one-second resolution and never backwards
for a record; a time that a caller names is taken as it is. Writing a note moves its ticket's
``_updated`` too where :attr:`Settings.notes_touch_ticket` says so; linking a file moves the note's.

What does not belong here: HTTP, credentials, and how a record is spelled (``documents``,
``reading``) or written (``writing``, ``bulk``). Every method may be called from any thread.
"""

import base64
import json
import uuid as uuids
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from elite_pipeline.sandbox.serving.clock import Clock, utc_now
from elite_pipeline.sandbox.serving.database import Database
from elite_pipeline.sandbox.toga2.bulk import bulk_insert
from elite_pipeline.sandbox.toga2.clients import SandboxClient, Settings
from elite_pipeline.sandbox.toga2.clock import to_wire
from elite_pipeline.sandbox.toga2.documents import ROW_COLUMNS, Document, Row, reference_uuid
from elite_pipeline.sandbox.toga2.query import ListQuery
from elite_pipeline.sandbox.toga2.reading import (
    Page,
    ScopeOf,
    child_rows,
    existing_row,
    read_page,
    render,
)
from elite_pipeline.sandbox.toga2.schema import RESOURCES, Resource
from elite_pipeline.sandbox.toga2.tables import TABLES
from elite_pipeline.sandbox.toga2.validation import CheckedBody, check_body
from elite_pipeline.sandbox.toga2.writing import (
    change_record,
    insert_raw,
    insert_record,
    remove_record,
    touch_record,
)


class Store:
    """The records of all clients, in one SQLite file.

    Args:
        clients: The tenants; records can be kept for these alone.
        path: The file, or ``None`` for a temporary one.
        clock: Where the present comes from.
        settings: The switches, shared with the server.
    """

    def __init__(
        self,
        clients: Iterable[SandboxClient],
        *,
        path: Path | None = None,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.clients = {client.name: client for client in clients}
        self.settings = settings or Settings()
        self.clock = clock or utc_now
        self._database = Database(path, name="toga2", tables=TABLES)
        self._scopes = self._open_scopes()

    def close(self) -> None:
        """Close the file; a temporary one is removed."""
        self._database.close()

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self._database.path

    def _open_scopes(self) -> dict[str, dict[str, int]]:
        wanted = [(client, route) for client in self.clients for route in RESOURCES]
        rows = (
            self._database.connection().execute("SELECT client, route, id FROM scopes").fetchall()
        )
        if not {(client, route) for client, route, _ in rows}.issuperset(wanted):
            with self._database.writing() as connection:
                connection.executemany(
                    "INSERT OR IGNORE INTO scopes (client, route) VALUES (?, ?)", wanted
                )
                rows = connection.execute("SELECT client, route, id FROM scopes").fetchall()
        scopes: dict[str, dict[str, int]] = {client: {} for client in self.clients}
        for client, route, number in rows:
            scopes.setdefault(client, {})[route] = number
        return scopes

    def scopes_of(self, client: str) -> ScopeOf:
        """Return the lookup of a client's scope numbers.

        Raises:
            ValueError: The sandbox has no such client.
        """
        if client not in self.clients:
            known = ", ".join(sorted(self.clients)) or "none"
            raise ValueError(f"the sandbox has no client {client!r}; its clients are: {known}")
        return self._scopes[client].__getitem__

    # -- what tests and demos use ------------------------------------------------------------------

    def create(
        self,
        client: str,
        route: str,
        body: Mapping[str, Any],
        *,
        uuid: str | None = None,
        created: datetime | None = None,
        updated: datetime | None = None,
    ) -> Document:
        """Create a record and return it as a read at depth 1 would.

        Args:
            client: The client's name.
            route: The resource's kebab-case plural; ``ticket-note-files`` takes ``ticketNote`` and
                ``file``.
            body: What a POST would send: references as ``{"uuid": …}``, a file's ``data`` in base64.
            uuid: Its uuid, or ``None`` for a new one.
            created: An aware time, or ``None`` for now.
            updated: An aware time, or ``None`` for ``created``.

        Raises:
            RefusedError: TOGA 2 would refuse the body.
            ValueError: Client or route is unknown, or a time is naive.
        """
        resource = resource_of(route)
        scope_of = self.scopes_of(client)
        parent = None
        if resource.parent is not None and not resource.parent.shown:
            body = dict(body)
            parent = reference_uuid(body.pop(resource.parent.name, None))
        checked = self._checked(client, resource, body, creating=True)
        uuid = uuid or str(uuids.uuid4())
        born = to_wire(created or self.clock())
        with self._database.writing() as connection:
            insert_record(
                connection,
                scope_of,
                resource,
                checked,
                uuid=uuid,
                parent=parent,
                created=born,
                updated=to_wire(updated) if updated else born,
                touch_jobs=self.settings.notes_touch_ticket,
            )
        return self.get(client, route, uuid)

    def update(
        self,
        client: str,
        route: str,
        uuid: str,
        body: Mapping[str, Any],
        *,
        updated: datetime | None = None,
    ) -> Document:
        """Change fields of a record and return it as a read at depth 1 would.

        Raises:
            RefusedError: There is no such record, or TOGA 2 would refuse the body.
            ValueError: Client or route is unknown, or the time is naive.
        """
        resource = resource_of(route)
        scope_of = self.scopes_of(client)
        existing_row(self._database.connection(), scope_of, resource, uuid)
        checked = self._checked(client, resource, body, creating=False)
        with self._database.writing() as connection:
            change_record(
                connection,
                scope_of,
                resource,
                uuid,
                checked,
                now=to_wire(self.clock()),
                updated=to_wire(updated) if updated else None,
                touch_jobs=self.settings.notes_touch_ticket,
            )
        return self.get(client, route, uuid)

    def delete(self, client: str, route: str, uuid: str) -> None:
        """Take a record away (TOGA 2 has no route for it); what refers to it keeps its stub.

        Raises:
            RefusedError: There is no such record.
        """
        with self._database.writing() as connection:
            remove_record(connection, self.scopes_of(client), resource_of(route), uuid)

    def touch(self, client: str, route: str, uuid: str) -> None:
        """Move a record's ``_updated`` to now, or to the newest of its kind where that is later.

        The record then stands in the last second of a list in order of ``_updated``, whatever the
        clock says.

        Raises:
            RefusedError: There is no such record.
        """
        now = to_wire(self.clock())
        with self._database.writing() as connection:
            touch_record(connection, self.scopes_of(client), resource_of(route), uuid, now=now)

    def put_raw(self, client: str, route: str, document: Mapping[str, Any]) -> str:
        """Keep a document as it is, malformed or not, and serve it so; return the uuid it is under.

        It replaces a record of the same uuid. ``_updated`` and ``uuid`` place it in lists where they
        are texts; else it stands at the clock's present, under a uuid of its own.
        """
        now = to_wire(self.clock())
        with self._database.writing() as connection:
            return insert_raw(
                connection, self.scopes_of(client), resource_of(route), document, now=now
            )

    def bulk_create(
        self,
        client: str,
        route: str,
        documents: Iterable[Mapping[str, Any]],
        *,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Create many records fast, in batches, and return how many.

        Values are not checked, and parents are not touched; unknown keys are refused. Beside its
        fields a document may name ``uuid``, ``_created`` and ``_updated`` (aware times, or texts
        spelled as on the wire), a ``number``, and ``data`` as bytes.

        Args:
            client: The client's name.
            route: The resource's kebab-case plural, file links included.
            documents: The records; read as a stream.
            progress: Called with the number of records of each batch that is written.

        Raises:
            ValueError: Client or route is unknown, a document has a key that the resource lacks, or
                a uuid that is taken.
        """
        resource = resource_of(route)
        return bulk_insert(
            self._database,
            self.scopes_of(client)(route),
            resource,
            documents,
            custom_fields=self.clients[client].custom_fields,
            now=to_wire(self.clock()),
            progress=progress,
        )

    def get(self, client: str, route: str, uuid: str, *, depth: int = 1) -> Document:
        """Return a record as a read at ``depth`` would (a file without its bytes).

        Raises:
            RefusedError: There is no such record.
        """
        record: Document = json.loads(self.read_one(client, resource_of(route), uuid, depth=depth))
        return record

    def all(self, client: str, route: str, *, depth: int = 1) -> list[Document]:
        """Return all records of a resource, in the order in which they came in."""
        resource = resource_of(route)
        scope_of = self.scopes_of(client)
        connection = self._database.connection()
        found = connection.execute(
            f"SELECT {ROW_COLUMNS} FROM records WHERE scope = ? ORDER BY id", (scope_of(route),)
        )
        rows = [Row._make(row) for row in found]
        return [json.loads(text) for text in render(connection, scope_of, resource, rows, depth)]

    def count(self, client: str, route: str) -> int:
        """Return how many records of a resource a client has."""
        found = self._database.connection().execute(
            "SELECT count(*) FROM records WHERE scope = ?",
            (self.scopes_of(client)(resource_of(route).route),),
        )
        return int(found.fetchone()[0])

    def content(self, client: str, uuid: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            RefusedError: There is no such file.
        """
        connection = self._database.connection()
        row = existing_row(connection, self.scopes_of(client), RESOURCES["files"], uuid)
        found = connection.execute("SELECT bytes FROM contents WHERE record = ?", (row.id,))
        content = found.fetchone()
        return bytes(content[0]) if content else b""

    # -- what the HTTP side uses -------------------------------------------------------------------

    def read_one(self, client: str, resource: Resource, uuid: str, *, depth: int) -> str:
        """Return a record as JSON text.

        Raises:
            RefusedError: There is no such record.
        """
        connection = self._database.connection()
        scope_of = self.scopes_of(client)
        row = existing_row(connection, scope_of, resource, uuid)
        return render(connection, scope_of, resource, [row], depth)[0]

    def read_file(self, client: str, uuid: str) -> str:
        """Return a file as JSON text, its bytes included.

        Raises:
            RefusedError: There is no such file.
        """
        text = self.read_one(client, RESOURCES["files"], uuid, depth=1)
        data = base64.b64encode(self.content(client, uuid)).decode()
        return f'{text[:-1]},"data":"{data}"}}'

    def read_page(self, client: str, resource: Resource, query: ListQuery, *, depth: int) -> Page:
        """Return one page of a list."""
        connection = self._database.connection()
        return read_page(connection, self.scopes_of(client), resource, query, depth=depth)

    def read_children(self, client: str, resource: Resource, uuid: str, *, depth: int) -> list[str]:
        """Return the records that hang on a record, as JSON texts.

        Raises:
            RefusedError: There is no such record.
        """
        connection = self._database.connection()
        scope_of = self.scopes_of(client)
        existing_row(connection, scope_of, resource, uuid)
        if resource.children is None:
            return []
        rows = child_rows(connection, scope_of, resource.children, uuid)
        return render(connection, scope_of, RESOURCES[resource.children.route], rows, depth)

    def _checked(
        self, client: str, resource: Resource, body: Mapping[str, Any], *, creating: bool
    ) -> CheckedBody:
        custom_fields = self.clients[client].custom_fields
        return check_body(resource, body, custom_fields=custom_fields, creating=creating)


def resource_of(route: str) -> Resource:
    """Return the resource of a route.

    Raises:
        ValueError: TOGA 2 has no such route.
    """
    try:
        return RESOURCES[route]
    except KeyError:
        raise ValueError(f"no route {route!r}; there are: {', '.join(RESOURCES)}") from None
