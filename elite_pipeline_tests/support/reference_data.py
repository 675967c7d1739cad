"""Short ways to say what TOGA 2 holds and to see what the helpdesk holds, for tests of the flows."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.systems import Systems

#: Where the tests' time begins.
START = datetime(2026, 6, 10, 8, 0, 0, tzinfo=UTC)

#: Texts that a helpdesk's columns have trouble with, each short enough for every column.
TEXTS = (
    "Zoë Müller-Łukasz",
    "emoji 😀👩‍🚀 end",
    "عربي שלום",
    "漢字かな",
    "€uro “quotes” …",
    'O\'Brien "x" \\ back\\slash',
    "%s %(a)s :b ? {c}",
    "line\r\nbreak\ttab",
    "<b>R&D</b> &amp; &#128512;",
    " blanks around ",
    "nul\x00inside",
    "c1 \x80\x9f and \xad soft",
    "e\u0301 combining",
    "\U0010fffd",
)


def at(seconds: int) -> datetime:
    """Return an instant of the tests' time."""
    return START + timedelta(seconds=seconds)


def add(
    systems: Systems,
    route: str,
    body: dict[str, Any],
    *,
    seconds: int = 0,
    client: str = "elite",
    uuid: str | None = None,
) -> str:
    """Add a record that was updated at ``at(seconds)``; return its uuid."""
    made = systems.toga2_store.create(client, route, body, uuid=uuid, updated=at(seconds))
    return str(made["uuid"])


def change(
    systems: Systems,
    route: str,
    uuid: str,
    body: dict[str, Any],
    *,
    seconds: int,
    client: str = "elite",
) -> None:
    """Change a record, updated at ``at(seconds)``."""
    systems.toga2_store.update(client, route, uuid, body, updated=at(seconds))


def add_contact(
    systems: Systems,
    email: str | None,
    *,
    seconds: int = 0,
    client: str = "elite",
    uuid: str | None = None,
    **fields: Any,
) -> str:
    """Add a contact; return its uuid."""
    body = {"firstName": "Ada", "lastName": "Lovelace", "email": email, **fields}
    return add(systems, "contacts", body, seconds=seconds, client=client, uuid=uuid)


def rows(systems: Systems, table: str, *columns: str) -> list[dict[str, Any]]:
    """Return the rows of a table in the order of their ids."""
    quote = systems.helpdesk.engine.dialect.identifier_preparer.quote
    names = ", ".join(quote(column) for column in columns)
    found = systems.helpdesk.rows(f"SELECT {names} FROM {quote(table)} ORDER BY id")
    return [dict(zip(columns, row, strict=True)) for row in found]


def by_hand(systems: Systems, table: str, client_id: int = 1, **values: Any) -> int:
    """Insert a row as people do in the helpdesk, through its own pages; return its id."""
    with systems.helpdesk.store(client_id) as store:
        store.run(lambda tx: tx.insert(table, [values]))
        return store.run(lambda tx: tx.highest_id(table))


def set_columns(systems: Systems, table: str, row_id: int, **values: Any) -> None:
    """Change a row as people do in the helpdesk."""
    quote = systems.helpdesk.engine.dialect.identifier_preparer.quote
    for column, value in values.items():
        systems.helpdesk.execute(
            f"UPDATE {quote(table)} SET {quote(column)} = :a WHERE id = :b", value, row_id
        )


def counts(result: FlowResult) -> dict[str, int]:
    """Return the counts of a result that are not zero."""
    names = ("created", "updated", "adopted", "unchanged", "inactive", "vanished", "failed")
    return {name: count for name in names if (count := getattr(result, name))}


def reasons(result: FlowResult) -> dict[str, str]:
    """Return why each failed record failed."""
    return {failure.record: failure.reason for failure in result.failures}


def bulk_contacts(
    systems: Systems, numbers: Iterable[int], *, client: str = "elite", spread: bool = True
) -> None:
    """Add many contacts at once, one a second, or all in one second."""
    systems.toga2_store.bulk_create(
        client,
        "contacts",
        (
            {
                "uuid": f"00000000-0000-4000-9000-{number:012}",
                "firstName": "Person",
                "lastName": str(number),
                "email": f"person{number}@example.com",
                "isActive": True,
                "_created": START,
                "_updated": at(number if spread else 0),
            }
            for number in numbers
        ),
    )
