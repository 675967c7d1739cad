"""Authors whom the helpdesk does not know: looked for again in each run, and what that costs."""

import pytest

from elite_pipeline_tests.support.helpdesks import ALL_PARAMS
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at

# Nothing here depends on the kind of database.
pytestmark = pytest.mark.parametrize("helpdesk", ALL_PARAMS[:1], indirect=True)

FLOW = "toga2_to_togadesk"


@pytest.fixture
def desk(systems: Systems) -> Desk:
    return Desk(systems)


def fill(desk: Desk, authors: int) -> None:
    """Make tickets with notes by strangers, each a different one, far behind the watermark."""
    for number in range(authors):
        ticket = desk.ticket(f"Ticket {number}")
        desk.note(ticket, minute=1, authorEmail=f"stranger{number}@example.com")
    desk.ticket("Much later", 100)


def test_many_strangers_cost_a_quiet_run_as_much_as_one(systems: Systems, desk: Desk) -> None:
    fill(desk, 1)
    systems.sync(FLOW)
    one = systems.sync(FLOW)
    fill(desk, 150)
    systems.sync(FLOW, full=True)
    systems.sync(FLOW)
    systems.toga2.reset_stats()

    many = systems.sync(FLOW)

    assert many.sql_writes == 0
    # one look at the people for all of them, and no ticket read again
    assert many.sql_reads == one.sql_reads
    assert many.api_calls == one.api_calls
    assert systems.toga2.count(route="/tickets/{uuid}") == 0


def test_strangers_beyond_one_statement_are_looked_for_some_hundreds_at_once(
    systems: Systems, desk: Desk
) -> None:
    ticket = desk.ticket()
    for number in range(1_200):
        desk.note(ticket, minute=1, authorEmail=f"stranger{number}@example.com")
    desk.ticket("Much later", 100)
    systems.sync(FLOW)

    again = systems.sync(FLOW)

    assert again.sql_writes == 0
    assert again.sql_reads <= 5


def test_strangers_are_looked_for_once_however_many_tickets_wait_for_them(
    systems: Systems, desk: Desk
) -> None:
    fill(desk, 3)
    systems.sync(FLOW)
    few = systems.sync(FLOW)
    add_tickets_by_the_same_few(systems, tickets=1_200, authors=3)
    systems.sync(FLOW, full=True)

    many = systems.sync(FLOW)

    assert few.sql_reads > 0
    assert (many.sql_reads, many.sql_writes) == (few.sql_reads, 0)
    assert many.api_calls == few.api_calls


def add_tickets_by_the_same_few(systems: Systems, tickets: int, authors: int) -> None:
    """Make tickets with a note each, far behind the watermark, by the strangers of ``fill``."""
    uuids = [f"00000000-0000-4000-9000-{number:012}" for number in range(tickets)]
    times = {"_created": at(1), "_updated": at(1)}
    systems.toga2_store.bulk_create(
        "elite", "tickets", ({"uuid": uuid, "subject": "S", **times} for uuid in uuids)
    )
    systems.toga2_store.bulk_create(
        "elite",
        "ticket-notes",
        (
            {
                "uuid": uuid.replace("-9000-", "-a000-"),
                "ticket": {"uuid": uuid},
                "isExternal": True,
                "body": "<p>Hello</p>",
                "authorEmail": f"stranger{number % authors}@example.com",
                **times,
            }
            for number, uuid in enumerate(uuids)
        ),
    )


def test_one_of_many_who_becomes_known_has_only_their_ticket_read(
    systems: Systems, desk: Desk
) -> None:
    fill(desk, 30)
    systems.sync(FLOW)
    desk.contact("stranger7@example.com")
    systems.sync("contacts")
    systems.toga2.reset_stats()

    result = systems.sync(FLOW)

    assert systems.toga2.count(route="/tickets/{uuid}") == 1
    assert result.details == {"replies updated": 1}
