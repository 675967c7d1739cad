"""Files for tests: hung on notes of TOGA 2, and read back on both sides."""

import base64
from typing import Any

from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

#: Name, the message that it hangs on, and its bytes.
Shown = list[tuple[str, str, bytes]]


def attach(
    desk: Desk, note: str, name: str = "image001.png", content: bytes = b"bytes", minute: float = 3
) -> str:
    """Hang a file on a note of TOGA 2; return the file's uuid."""
    store = desk.systems.toga2_store
    body = {
        "name": name,
        "contentType": "image/png",
        "data": base64.b64encode(content).decode(),
    }
    uuid = str(store.create(desk.client, "files", body, created=at(minute))["uuid"])
    link = {desk.kind.link_parent: {"uuid": note}, "file": {"uuid": uuid}}
    store.create(desk.client, desk.kind.link.route, link, created=at(minute))
    return uuid


def shown(systems: Systems) -> Shown:
    """Return the helpdesk's files: name, the message that they hang on, and their bytes."""
    rows = systems.helpdesk.rows(
        "SELECT f.name, r.message, f.file, f.filesize FROM files f "
        "LEFT JOIN tickets_replies r ON r.id = f.ticketreplyid ORDER BY f.id"
    )
    found = []
    for name, message, stored, size in rows:
        content = (systems.uploads_dir / stored).read_bytes()
        assert len(content) == size
        found.append((name, message or "", content))
    return found


def there(typist: Typist) -> list[tuple[str, str, bytes]]:
    """Return TOGA 2's files: name, the note that they hang on, and their bytes."""
    store = typist.systems.toga2_store
    notes = store.all(typist.client, typist.desk.notes_route, depth=5)
    links = typist.desk.kind.note.children
    assert links is not None
    return [
        (
            link["file"]["name"],
            note["body"],
            store.content(typist.client, link["file"]["uuid"]),
        )
        for note in notes
        for link in note[links.name]
    ]


def bring(systems: Systems, **options: Any) -> Any:
    """Run the flow into the helpdesk once."""
    return systems.sync("toga2_to_togadesk", **options)
