"""What an account begins with: people, groups and categories, the same that TOGA 2's sandbox knows.

They are made of the same words by the same seed: a requester has the e-mail address of a contact there,
and groups and categories have the ids that teams and categories there carry in their custom fields.
"""

from datetime import UTC, datetime
from typing import Final

from elite_pipeline.sandbox.data.catalogue import categories, teams
from elite_pipeline.sandbox.data.people import AGENTS, World, contacts
from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.freshservice.account import Account

#: Categories as they are on the form; values with trailing blanks, and ones under several parents.
_ODD_CATEGORIES: Final = (("Hardware ", "Laptop ", "Other"), ("Software", "Laptop ", "Other"))


def fill(
    account: Account,
    *,
    seed: int = 1,
    requesters: int = 40,
    agents: int = 4,
    groups: int = 4,
    paths: int = 30,
) -> None:
    """Fill an account that has nothing yet.

    Args:
        account: The account; its people's e-mail addresses are of its name.
        seed: What everything follows from.
        requesters: How many requesters; the last one has no e-mail address.
        agents: How many agents.
        groups: How many groups.
        paths: How many categories, in a tree of three levels.
    """
    period = Timeline(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    world = World(account.name, seed, f"c_{account.name}", period)
    for index, contact in enumerate(contacts(world, requesters)):
        known = contact.get(f"{world.prefix}UserId")
        account.add_requester(
            contact["firstName"],
            contact["lastName"],
            contact["email"] if index < requesters - 1 or requesters == 1 else None,
            requester_id=int(known) if known else None,
            job_title=contact["title"] or None,
            work_phone_number=contact["phone"] or None,
        )
    for index in range(min(agents, AGENTS)):
        person = world.agent(index)
        account.add_agent(person.first_name, person.last_name, person.email)
    for team in teams(world, groups):
        account.add_group(team["name"], group_id=int(team[f"{world.prefix}GroupId"]))
    account.set_categories((*_paths(world, paths), *_ODD_CATEGORIES))


def _paths(world: World, count: int) -> list[tuple[str, ...]]:
    known: dict[str, tuple[str, ...]] = {}
    for category in categories(world, count):
        parent = category["parent"]
        above = known[parent["uuid"]] if parent else ()
        known[category["uuid"]] = (*above, category["name"])
    return list(known.values())
