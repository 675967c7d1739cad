"""Rows that people made by hand, before any sync ran: settings, admins, users, odds and ends.

What belongs here: believable content, the same for the same seed. What does not: the tables
(``database``), and tickets, which come with the sync.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from elite_pipeline.sandbox.data.people import AGENTS, World
from elite_pipeline.sandbox.data.timeline import Timeline
from elite_pipeline.sandbox.togadesk import database
from elite_pipeline.togadesk import tables

#: Where the helpdesk's departments have their mailboxes.
DESK_DOMAIN = "managed.example"

#: Users made by hand: some are contacts in the other systems too (and will be adopted), and some
#: exist here alone.
_USERS = (0, 3, 7, 900_001, 900_002, 900_003)

#: People do not depend on when records were made.
_TIMELINE = Timeline(datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))

_DEPARTMENTS = ("Service Desk", "Field Services", "Repairs", "Network", "Telephony", "Projects")
_GROUPS = ("Walk-in Support", "Night Shift", "VIP Desk")
_MODELS = ("Latitude 5440", "ThinkPad T14", "OfficeJet 8025", "MX64", "iPad 10")
_MAKERS = ("Dell", "Lenovo", "HP", "Cisco", "Apple")
_CATEGORIES = (("Laptop", "#3c8dbc"), ("Printer", "#00a65a"), ("Network", "#f39c12"))
_ROLES = ((1, "admin", "Super Administrator"), (2, "user", "Standard User"))
_REPLIES = (
    ("Password reset", "<div>Your password was reset. Please sign in and choose a new one.</div>"),
    ("On our way", "<div>A technician is on the way to your site.</div>"),
    (
        "Closing (café kit)",
        "<div>We close this ticket; reply to open it again. €0 due.</div>",
    ),
)


@dataclass(frozen=True, slots=True)
class HelpdeskClient:
    """A client as the helpdesk knows it.

    Attributes:
        client_id: ``clients.id``, and ``clientid`` of its rows.
        name: What people call it; in small letters, its name in the registry, from which the people
            of the sandbox follow.
        department_ids: Ticket departments that it uses.
    """

    client_id: int
    name: str
    department_ids: tuple[int, ...] = ()


def seed_helpdesk(engine: sa.Engine, clients: Sequence[HelpdeskClient], *, seed: int = 1) -> int:
    """Add what is not there yet; rows that are there stay as they are.

    Args:
        engine: A database that ``create_database`` made.
        clients: The tenants.
        seed: Same seed, same rows; the seed of the other stand-ins gives the same people.

    Returns:
        How many rows were added.
    """
    with engine.begin() as connection:
        added = _settings(connection, clients)
        added += _lists(connection)
        for client in clients:
            world = World(_slug(client.name), seed, "", _TIMELINE)
            added += _admins(connection, world)
            added += _client(connection, client, world)
    return added


def _add(
    connection: sa.Connection,
    table: sa.Table,
    rows: Iterable[Mapping[str, Any]],
    key: Sequence[str],
) -> int:
    """Insert the rows whose key is not in the table yet; name every column."""
    there = {
        tuple(_folded(value) for value in row)
        for row in connection.execute(sa.select(*(table.c[name] for name in key)))
    }
    added = 0
    for row in rows:
        if tuple(_folded(row[name]) for name in key) in there:
            continue
        connection.execute(sa.insert(table).values({**_neutral(table), **row}))
        added += 1
    return added


def _folded(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _neutral(table: sa.Table) -> dict[str, Any]:
    if table.metadata is not tables.metadata:
        return {}
    values = {column.name: tables.neutral(column) for column in table.c if not column.primary_key}
    if "purchase_date" in values:
        values["purchase_date"] = None
    return values


def _settings(connection: sa.Connection, clients: Sequence[HelpdeskClient]) -> int:
    departments = sorted({id_ for client in clients for id_ in client.department_ids})
    config = {"timezone": "UTC", "company_name": "Managed Services Desk", "table_records": "25"}
    added = _add(
        connection,
        database.CONFIG,
        [{"name": name, "value": value} for name, value in config.items()],
        ["name"],
    )
    added += _add(
        connection,
        database.CLIENTS,
        [
            {"id": c.client_id, "name": c.name, "asset_tag_prefix": c.name[:3].upper(), "notes": ""}
            for c in clients
        ],
        ["id"],
    )
    added += _add(
        connection,
        database.DEPARTMENTS,
        [
            {
                "id": id_,
                "name": _DEPARTMENTS[(id_ - 1) % len(_DEPARTMENTS)],
                "email": f"department{id_}@{DESK_DOMAIN}",
            }
            for id_ in departments
        ],
        ["id"],
    )
    return added + _add(
        connection,
        database.ROLES,
        [{"id": id_, "type": kind, "name": name, "perms": ""} for id_, kind, name in _ROLES],
        ["id"],
    )


def _lists(connection: sa.Connection) -> int:
    added = _add(connection, tables.MODELS, [{"name": name} for name in _MODELS], ["name"])
    added += _add(connection, tables.MANUFACTURERS, [{"name": name} for name in _MAKERS], ["name"])
    categories = [{"name": name, "color": color} for name, color in _CATEGORIES]
    return added + _add(connection, tables.ASSET_CATEGORIES, categories, ["name"])


def _admins(connection: sa.Connection, world: World) -> int:
    """Give every agent who answers this client's tickets an account."""
    agents = [world.agent(index) for index in range(AGENTS)]
    rows = [
        {
            "type": "admin",
            "roleid": 1,
            "clientid": 0,
            "name": agent.name,
            "email": agent.email,
            "title": "Service Desk",
            "password": _made_up_hash(agent.email),
            "signature": f"{agent.name}<br>Service Desk",
        }
        for agent in agents
    ]
    return _add(connection, tables.PEOPLE, rows, ["email"])


def _client(connection: sa.Connection, client: HelpdeskClient, world: World) -> int:
    dice = world.dice("helpdesk", client.client_id)
    people = [
        {
            "clientid": client.client_id,
            "name": person.name,
            "email": person.email,
            "mobile": f"+1 555 01{dice.below(100):02}",
            "password": _made_up_hash(person.email),
            "notes": "Prefers a call before 10.",
        }
        for person in map(world.person, _USERS)
    ]
    prefix = client.name[:3].upper()
    assets = [
        {
            "clientid": client.client_id,
            "categoryid": 1,
            "manufacturerid": 1,
            "modelid": 1,
            "tag": f"{prefix}-HAND-{number:03}",
            "name": f"Spare laptop {number}",
            "serial": f"SN{dice.below(10**8):08}",
            "notes": "Lent from the cupboard.",
        }
        for number in range(1, 4)
    ]
    own = {"clientid": client.client_id}
    added = _add(connection, tables.PEOPLE, people, ["email"])
    added += _add(connection, tables.ASSETS, assets, ["tag"])
    added += _add(
        connection, tables.GROUPS, [{"name": name, **own} for name in _GROUPS], ["clientid", "name"]
    )
    return added + _add(
        connection,
        tables.PREDEFINED_REPLIES,
        [{"name": name, "content": content, **own} for name, content in _REPLIES],
        ["clientid", "name"],
    )


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _made_up_hash(text: str) -> str:
    """Return what looks like the helpdesk's password hashes and opens nothing that exists."""
    return hashlib.sha256(f"no password/{text}".encode()).hexdigest()[:40]
