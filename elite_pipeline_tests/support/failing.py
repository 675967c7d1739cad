"""Records that fail, of every sort, and the dead letters that become of them.

What does not belong here: faults of TOGA 2 itself (``sandbox.toga2``), those of two-way histories
(``two_way_faults``).
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from elite_pipeline.ledger import DeadLetter, DeadLetterOffice
from elite_pipeline.ledger.dead_letter_office import Selection
from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import at

TICKETS = "toga2_to_togadesk"


@dataclass(frozen=True)
class Sort:
    """What can fail: where it comes from, where it goes, and what is wrong with it."""

    flow: str
    route: str
    table: str
    good: dict[str, Any]
    bad: dict[str, Any]
    mended: dict[str, Any]

    def add(self, systems: Systems, minute: float) -> str:
        """Add a good record; return its uuid."""
        number = f"{minute:g}"
        body = {name: value.replace("#", number) for name, value in self.good.items()}
        made = systems.toga2_store.create("elite", self.route, body, created=at(minute))
        return str(made["uuid"])

    def add_bad(self, systems: Systems, minute: float) -> str:
        """Add a record that cannot be carried over, past what TOGA 2 checks; return its uuid."""
        uuid = self.add(systems, minute)
        self.change(systems, uuid, minute, self.bad)
        return uuid

    def change(self, systems: Systems, uuid: str, minute: float, fields: dict[str, Any]) -> None:
        """Change a record, past what TOGA 2 checks."""
        raw = dict(systems.toga2_store.get("elite", self.route, uuid))
        times = {"_updated": f"{at(minute):%Y-%m-%d %H:%M:%S}"}
        systems.toga2_store.put_raw("elite", self.route, {**raw, **fields, **times})

    def mend(self, systems: Systems, uuid: str, minute: float) -> None:
        """Mend what is wrong with a bad record; it is as new as it was when ``minute`` is the same."""
        self.change(systems, uuid, minute, self.mended)

    def there(self, systems: Systems) -> set[str]:
        """Return the records that are in the helpdesk."""
        quote = systems.helpdesk.engine.dialect.identifier_preparer.quote
        found = systems.helpdesk.rows(f"SELECT referenceId FROM {quote(self.table)}")
        return {row[0] for row in found if row[0]}


SORTS = {
    "contacts": Sort(
        "contacts",
        "contacts",
        "people",
        {"firstName": "Ada", "email": "p#@example.com"},
        {"email": None},
        {"email": "mended@example.com"},
    ),
    "units": Sort(
        "units",
        "units",
        "assets",
        {"name": "Unit #", "tag": "T-#"},
        {"tag": {"not": "a text"}},
        {"tag": "T-mended"},
    ),
    "teams": Sort(
        "teams", "ticket-teams", "groups", {"name": "Team #"}, {"name": " "}, {"name": "Mended"}
    ),
    "predefined_replies": Sort(
        "predefined_replies",
        "predefined-replies",
        "tickets_pr",
        {"name": "Reply #", "content": "Hello"},
        {"name": " "},
        {"name": "Mended"},
    ),
    "tickets": Sort(
        TICKETS,
        "tickets",
        "tickets",
        {"subject": "Ticket #", "description": "It does not work", "status": "OPEN"},
        {"status": "WEIRD"},
        {"status": "OPEN"},
    ),
    "repair_orders": Sort(
        TICKETS,
        "repair-orders",
        "tickets",
        {"subject": "Order #", "description": "It does not work", "status": "OPEN"},
        {"status": "WEIRD"},
        {"status": "OPEN"},
    ),
}


@pytest.fixture(params=SORTS)
def sort(request: pytest.FixtureRequest, systems: Systems) -> Sort:
    """What can fail, one sort after the other."""
    if request.param == "repair_orders":
        systems.become("REPAIR_ORDERS")
    return SORTS[request.param]


@pytest.fixture
def office(systems: Systems) -> Iterator[DeadLetterOffice]:
    """Where people look after dead letters."""
    with closing(DeadLetterOffice(systems.ledger_url)) as office:
        yield office


def letters(office: DeadLetterOffice) -> list[DeadLetter]:
    return list(office.listed(Selection()))


def only(office: DeadLetterOffice) -> DeadLetter:
    (letter,) = letters(office)
    return letter


def seen(result: FlowResult) -> int:
    """Return how many records a result tells of: those that wait and those that failed are some."""
    return (
        result.created
        + result.updated
        + result.adopted
        + result.unchanged
        + result.inactive
        + len({failure.of for failure in result.failures})
        + result.waiting
    )


def stored(systems: Systems) -> list[str]:
    return [one["value"] for one in systems.toga2_store.all("elite", "parameters")]


def wait_for(systems: Systems, letter: DeadLetter) -> None:
    """Let time pass until a letter is due."""
    assert letter.next_attempt is not None
    systems.later += letter.next_attempt - letter.last_failed
