"""The two pairs of routes as the engine reads them."""

from typing import get_args

import pytest

from elite_pipeline.clients import Toga2Entry
from elite_pipeline.sandbox.toga2.schema import JOB_KINDS
from elite_pipeline.toga2.models import Malformed
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES, TicketRoutes

TIMES = {"_created": "2026-06-10 08:00:00", "_updated": "2026-06-10 08:00:00"}
ONE, OTHER = {"uuid": "one"}, {"uuid": "other"}
BOTH = pytest.mark.parametrize("routes", TICKET_ROUTES.values(), ids=TICKET_ROUTES)


def test_there_is_a_pair_for_every_integration_type() -> None:
    known = get_args(Toga2Entry.model_fields["integration_type"].annotation)

    assert set(TICKET_ROUTES) == set(known)


@pytest.mark.parametrize("integration_type", TICKET_ROUTES)
def test_names_are_those_that_the_sandbox_is_strict_about(integration_type: str) -> None:
    routes, kind = TICKET_ROUTES[integration_type], JOB_KINDS[integration_type]

    assert (routes.tickets.route, routes.tickets.key) == (kind.job.route, kind.job.envelope)
    assert (routes.notes.route, routes.notes.key) == (kind.note.route, kind.note.envelope)
    assert routes.tickets.children == kind.note.envelope
    assert (routes.notes.children, routes.notes.parent) == (kind.link.envelope, kind.note_parent)


@pytest.mark.parametrize(
    ("integration_type", "raw", "parent"),
    [
        ("TICKETS", {"ticket": ONE}, "one"),
        ("TICKETS", {"ticket": ONE, "repairOrder": OTHER}, "one"),
        ("TICKETS", {"repairOrder": ONE}, None),
        ("REPAIR_ORDERS", {"repairOrder": ONE}, "one"),
        ("REPAIR_ORDERS", {"repairOrder": ONE, "ticket": OTHER}, "one"),
        ("REPAIR_ORDERS", {"ticket": ONE}, None),
    ],
)
def test_note_hangs_on_what_its_own_key_names(
    integration_type: str, raw: dict[str, object], parent: str | None
) -> None:
    note = TICKET_ROUTES[integration_type].note_parser.one(
        {"uuid": "n", "isExternal": False, **TIMES, **raw}
    )

    assert not isinstance(note, Malformed)
    assert (note.ticket.uuid if note.ticket else None) == parent
    assert (note.created, note.is_external) == (note.updated, False)


@BOTH
def test_notes_are_whole_when_none_of_them_is_a_stub(routes: TicketRoutes) -> None:
    key = str(routes.tickets.children)

    assert routes.has_whole_notes({key: []})
    assert routes.has_whole_notes({key: [{"uuid": "n", "body": ""}, None]})
    assert not routes.has_whole_notes({key: [{"uuid": "n", "body": ""}, {"uuid": "m"}]})
    for raw in ({key: None}, {key: {"uuid": "n"}}, {}, None, "text"):
        assert routes.notes_of(raw) is None
        assert not routes.has_whole_notes(raw)


@BOTH
def test_list_shows_that_it_expands_by_a_relation_that_is_more_than_a_stub(
    routes: TicketRoutes,
) -> None:
    key = str(routes.tickets.children)

    assert routes.is_expanded({"contact": {"uuid": "c", "email": None}, key: []})
    assert routes.is_expanded({"contact": None, key: [{"uuid": "n", "body": ""}]})
    assert not routes.is_expanded({"contact": ONE, key: [{"uuid": "n"}]})
    assert not routes.is_expanded({"contact": None, key: []})
    assert not routes.is_expanded(None)
