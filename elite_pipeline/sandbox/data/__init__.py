"""Believable data for a sandbox, by seed and size: the same seed gives the same records, uuids too.

Everything streams into the store, so that a million contacts need no memory. By default the data are
clean; ``dirty`` adds the bad input of real life.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from elite_pipeline.sandbox.data.catalogue import categories as make_categories
from elite_pipeline.sandbox.data.catalogue import predefined_replies as make_replies
from elite_pipeline.sandbox.data.catalogue import teams as make_teams
from elite_pipeline.sandbox.data.catalogue import units as make_units
from elite_pipeline.sandbox.data.dirty import (
    dirty_categories,
    dirty_contacts,
    dirty_predefined_replies,
    dirty_units,
)
from elite_pipeline.sandbox.data.jobs import Job, Surroundings, jobs
from elite_pipeline.sandbox.data.people import World
from elite_pipeline.sandbox.data.people import contacts as make_contacts
from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.toga2.documents import Document
from elite_pipeline.sandbox.toga2.store import Store

__all__ = ["DEMO_SIZES", "Sizes", "demo_sizes", "generate"]

#: Tells how far a load is: the route, and how many records more are in.
Progress = Callable[[str, int], None]

_JOBS_AT_ONCE: Final = 2_000


@dataclass(frozen=True)
class Sizes:
    """How many records of each kind to make."""

    contacts: int = 0
    units: int = 0
    teams: int = 0
    predefined_replies: int = 0
    categories: int = 0
    tickets: int = 0
    notes_per_ticket: int = 3

    @property
    def total(self) -> int:
        """About how many records these are, notes included."""
        catalogue = self.units + self.teams + self.predefined_replies + self.categories
        return self.contacts + catalogue + self.tickets * (1 + self.notes_per_ticket)


#: The sizes of the demo: the first client's, and the others'.
DEMO_SIZES: Final = (
    Sizes(400, 150, 8, 25, 60, 300),
    Sizes(200, 75, 4, 12, 30, 150),
)


def demo_sizes(position: int) -> Sizes:
    """Return the sizes for a client of the demo, by its position in the registry."""
    return DEMO_SIZES[min(position, len(DEMO_SIZES) - 1)]


def generate(
    store: Store,
    client: str,
    *,
    seed: int,
    start: datetime,
    end: datetime,
    contacts: int = 0,
    units: int = 0,
    teams: int = 0,
    predefined_replies: int = 0,
    categories: int = 0,
    tickets: int = 0,
    notes_per_ticket: int = 3,
    dirty: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Fill a store with made-up records of a client.

    Args:
        store: Where they go; it must not hold records of the same seed and client.
        client: The client's name; it is part of every e-mail address and tag.
        seed: What everything follows from.
        start: The first moment of the period that the records spread over (aware).
        end: Its last moment (aware); the newest records lie just before it.
        contacts: How many contacts.
        units: How many units.
        teams: How many teams.
        predefined_replies: How many predefined replies.
        categories: How many categories, in a tree of three levels.
        tickets: How many tickets, or repair orders, by the client's integration type.
        notes_per_ticket: How many notes they have on average; one in twelve carries a file.
        dirty: Whether to add a few records that cannot be carried over as they are.
        progress: Called with the route and the number of records that were written.

    Returns:
        How many records were written, by route.

    Raises:
        ValueError: The store has no such client, or the period is not one.
    """
    store.scopes_of(client)
    kind = store.clients[client].job_kind
    world = World(client, seed, store.clients[client].custom_field_prefix, Timeline(start, end))
    made: dict[str, int] = {}

    def load(route: str, documents: Iterable[Document]) -> None:
        def tell(number: int) -> None:
            if progress is not None:
                progress(route, number)

        made[route] = made.get(route, 0) + store.bulk_create(
            client, route, documents, progress=tell
        )

    load("contacts", make_contacts(world, contacts))
    load("units", make_units(world, units, contacts=contacts))
    load("ticket-teams", make_teams(world, teams))
    load("predefined-replies", make_replies(world, predefined_replies))
    load("ticket-categories", make_categories(world, categories))
    if dirty:
        load("contacts", dirty_contacts(world))
        load("units", dirty_units(world))
        load("predefined-replies", dirty_predefined_replies(world))
        load("ticket-categories", dirty_categories(world))
    around = Surroundings(contacts, units, teams, categories)
    for batch in _batches(jobs(world, tickets, kind=kind, notes=notes_per_ticket, around=around)):
        load(kind.job.route, (job.ticket for job in batch))
        load("files", (file for job in batch for file in job.files))
        load(kind.note.route, (note for job in batch for note in job.notes))
        load(kind.link.route, (link for job in batch for link in job.links))
    return made


def _batches(stream: Iterator[Job]) -> Iterator[list[Job]]:
    while batch := list(islice(stream, _JOBS_AT_ONCE)):
        yield batch
