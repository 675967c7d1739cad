"""Made-up people, times and trees, without a store."""

from datetime import UTC, datetime, timedelta

import pytest

from elite_pipeline.sandbox.data import words
from elite_pipeline.sandbox.data.catalogue import categories, category_parent, units
from elite_pipeline.sandbox.data.jobs import Surroundings, jobs
from elite_pipeline.sandbox.data.people import World, contacts, plain
from elite_pipeline.sandbox.data.timeline import IMPORTED, Timeline
from elite_pipeline.sandbox.toga2.schema import JOB_KINDS

END = datetime(2026, 6, 10, 12, tzinfo=UTC)
START = END - timedelta(days=700)
TICKETS = JOB_KINDS["TICKETS"]


def world(client: str = "elite", seed: int = 1) -> World:
    return World(client, seed, f"c_{client}", Timeline(START, END))


@pytest.mark.parametrize("seed", [0, 1, 2, 42, 96, 123_456_789])
def test_no_two_contacts_share_an_address_though_names_come_back(seed: int) -> None:
    made = world(seed=seed)
    combinations = len(words.FIRST_NAMES) * len(words.LAST_NAMES)
    count = combinations * 2 + 10

    emails = {made.person(index).email for index in range(count)}

    assert len(emails) == count


def test_two_clients_share_neither_addresses_nor_uuids_nor_tags() -> None:
    elite, wje = world("elite"), world("wje")
    for key in ("email", "uuid"):
        ours = {contact[key] for contact in contacts(elite, 500)}
        theirs = {contact[key] for contact in contacts(wje, 500)}
        assert not ours & theirs
    tags = [{unit["tag"] for unit in units(made, 50, contacts=9)} for made in (elite, wje)]
    assert not tags[0] & tags[1]


def test_names_differ_in_plain_letters_too() -> None:
    for names in (words.FIRST_NAMES, words.LAST_NAMES):
        folded = [plain(name) for name in names]
        assert len(set(folded)) == len(names)
        assert all(name.isascii() and name.isalpha() for name in folded)


def test_a_contact_follows_from_its_number_alone() -> None:
    few = list(contacts(world(), 1_000))
    person = world().person(777)

    assert few[777]["email"] == person.email
    assert few[777]["uuid"] == world().uuid("contact", 777)
    assert few == list(contacts(world(), 1_000))


def test_uuids_look_like_random_ones() -> None:
    uuids = {world().uuid("contact", index) for index in range(1_000)}

    assert len(uuids) == 1_000
    assert all(uuid[14] == "4" and uuid[19] in "89ab" and len(uuid) == 36 for uuid in uuids)


def test_the_first_contacts_came_in_with_one_import() -> None:
    made = list(contacts(world(), 1_000))
    imported = [contact for contact in made if contact["_created"] == START]

    assert len(imported) == 1_000 * IMPORTED
    assert sum(contact["_updated"] == START for contact in imported) > 100


def test_later_records_are_younger_and_recent_ones_denser() -> None:
    made = world()
    created = [made.timeline.created(made.dice("x", i), i, 1_000) for i in range(1_000)]

    assert created == sorted(created)
    middle = START + (END - START) / 2
    assert sum(moment > middle for moment in created) > 550


@pytest.mark.parametrize("count", [1, 2, 5, 30, 60, 500])
def test_categories_stand_below_ones_that_came_before(count: int) -> None:
    parents = [category_parent(index, count) for index in range(count)]

    assert all(parent is None or parent < index for index, parent in enumerate(parents))
    siblings: set[tuple[object, str]] = set()
    for category in categories(world(), count):
        place = ((category["parent"] or {}).get("uuid"), category["name"])
        assert place not in siblings
        siblings.add(place)


def test_old_tickets_are_settled_and_new_ones_open() -> None:
    made = list(jobs(world(), 300, kind=TICKETS, notes=3, around=Surroundings(10, 10, 3, 10)))
    old = {job.ticket["status"] for job in made if END - job.ticket["_updated"] > timedelta(40)}
    new = {job.ticket["status"] for job in made if END - job.ticket["_updated"] < timedelta(10)}

    assert old <= {"CLOSED", "RESOLVED"}
    assert {"NEW", "OPEN"} & new
    average = sum(len(job.notes) for job in made) / len(made)
    assert 2.5 < average < 3.5


def test_no_text_has_a_gap_left_open() -> None:
    for job in jobs(world(), 200, kind=TICKETS, notes=4, around=Surroundings(10, 10, 3, 10)):
        texts = [job.ticket["subject"], job.ticket["description"]]
        texts += [note["body"] for note in job.notes]
        assert not any("{" in text or "}" in text for text in texts)
