"""The helpdesk's database: what all clients share of it, and what concerns one of them."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from elite_pipeline.clients import Client
from elite_pipeline.doctor.findings import Notes
from elite_pipeline.doctor.needs import flows_on, rights_of
from elite_pipeline.settings import Settings
from elite_pipeline.sync.flows import FLOWS
from elite_pipeline.table_rights import Right
from elite_pipeline.togadesk import SchemaError
from elite_pipeline.togadesk.facts import Facts, look
from elite_pipeline.togadesk.failures import SETTING

#: A helpdesk's clock may be so much ahead of ours before its times look like another zone's.
_MOST_AHEAD = timedelta(minutes=5)
#: Months in which two zones are compared: both halves of a year, and where changes fall.
_MONTHS = 24
_OF_CLIENT = ("togadesk.tables", "togadesk.rights", "togadesk.client", "togadesk.time_zone")


def look_at_helpdesk(
    notes: Notes, settings: Settings, rights: dict[str, tuple[Right, ...]]
) -> Facts | None:
    """Look at what all clients share.

    Args:
        notes: Where findings go.
        settings: Where it is.
        rights: Table -> what the account must be allowed to do with it.

    Returns:
        What was seen; None: nothing could be.
    """
    facts: Facts | None = None
    with notes.guard("togadesk.database"):
        facts = look(settings.togadesk_url, rights)
        notes.ok("togadesk.database", f"{facts.place} answers: {facts.server}")
        _look_at_server(notes, facts)
    return facts


def _look_at_server(notes: Notes, facts: Facts) -> None:
    if facts.is_read_only:
        notes.wrong(
            "togadesk.read_only",
            f"{facts.place} is read-only: name the server that takes writes in {SETTING}, and not its "
            "copy",
        )
    if facts.sql_mode is not None:
        is_strict = "STRICT" in facts.sql_mode.upper()
        notes.note(
            "togadesk.sql_mode",
            "the server's own mode is strict"
            if is_strict
            else "the server's own mode is not strict, so the helpdesk itself cuts what does not fit; "
            "the pipeline's sessions are strict",
        )
    if facts.engines:
        counts = Counter(facts.engines.values())
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        is_old = any(kind.lower() == "myisam" for kind in counts)
        notes.note(
            "togadesk.storage",
            f"tables: {kinds}"
            + ("; MyISAM has no transactions, which the sync is made for" if is_old else ""),
        )
    if facts.missing_indexes:
        notes.note(
            "togadesk.indexes",
            f"{facts.missing_indexes} indexes would make reading cheaper: `elite-pipeline togadesk "
            "add-indexes` shows them",
        )
    elif facts.missing_indexes == 0:
        notes.ok("togadesk.indexes", "all indexes that make reading cheap are there")


def look_at_client(
    notes: Notes, facts: Facts | None, client: Client, now: Callable[[], datetime], *, is_demo: bool
) -> None:
    """Look at what concerns one client.

    Args:
        notes: Where findings go.
        facts: What was seen; None: nothing could be.
        client: Which client.
        now: The time, aware.
        is_demo: Whether all is made up.
    """
    if facts is None:
        for check in _OF_CLIENT:
            notes.not_looked_at(check, "the helpdesk's database did not answer")
        return
    _look_at_tables(notes, facts, client)
    _look_at_rights(notes, facts, client)
    _look_at_ids(notes, facts, client)
    _look_at_zone(notes, facts, client, now(), is_demo=is_demo)


def _look_at_tables(notes: Notes, facts: Facts, client: Client) -> None:
    needed = dict.fromkeys(table for flow in flows_on(client) for table in FLOWS[flow].tables)
    is_whole = True
    for table in needed:
        try:
            facts.found.require(table)
        except SchemaError as error:
            is_whole = False
            notes.wrong("togadesk.tables", str(error))
    if needed and is_whole:
        notes.ok("togadesk.tables", f"{', '.join(needed)}: there, with all columns")


def _look_at_rights(notes: Notes, facts: Facts, client: Client) -> None:
    needed = rights_of(flows_on(client))
    if facts.rights_problem:
        notes.note("togadesk.rights", f"could not be looked at: {facts.rights_problem}")
        return
    lacking = [
        f"{', '.join(refused)} on {table}"
        for table, rights in needed.items()
        if (refused := [right for right in rights if right in facts.lacking_rights.get(table, ())])
    ]
    if lacking:
        notes.wrong(
            "togadesk.rights",
            f"the account of {SETTING} lacks {'; '.join(lacking)}: grant that in {facts.place}",
        )
    elif needed:
        notes.ok("togadesk.rights", "the account may do what the client's flows do")


def _look_at_ids(notes: Notes, facts: Facts, client: Client) -> None:
    number = client.togadesk.client_id
    departments = sorted({client.togadesk.ticket_department_id, *client.monitored_department_ids})
    unknown: list[str] = []
    if facts.client_ids is not None and number not in facts.client_ids:
        unknown.append(f"no client {number} (togadesk.client_id)")
    if facts.department_ids is not None:
        unknown += [
            f"no ticket department {one} (togadesk.ticket_department_id, monitored_department_ids)"
            for one in departments
            if one not in facts.department_ids
        ]
    if unknown:
        notes.wrong(
            "togadesk.client", f"the helpdesk has {'; '.join(unknown)}: correct it in the registry"
        )
    elif facts.client_ids is None and facts.department_ids is None:
        notes.note("togadesk.client", "whom the helpdesk knows cannot be looked up")
    else:
        notes.ok(
            "togadesk.client",
            f"client {number} and department {', '.join(map(str, departments))} are there",
        )


def _look_at_zone(
    notes: Notes, facts: Facts, client: Client, now: datetime, *, is_demo: bool
) -> None:
    check, zone = "togadesk.time_zone", client.timezone
    newest = facts.newest.get(client.togadesk.client_id)
    ahead = newest.replace(tzinfo=zone).astimezone(UTC) - now if newest is not None else None
    if ahead is not None and ahead > _MOST_AHEAD:
        notes.wrong(
            check,
            f"read as {zone.key}, the helpdesk's newest reply ({newest:%Y-%m-%d %H:%M:%S}) lies "
            f"{ahead.total_seconds() / 3600:.1f} h in the future: set togadesk.timezone in the registry "
            "to what its config.timezone says, or see whether its server's clock is right",
        )
        return
    if facts.zone is None:
        notes.note(
            check,
            f"the helpdesk does not say its zone; read as {zone.key}, its newest times are plausible"
            if newest is not None
            else f"the helpdesk does not say its zone, and has no times yet; {zone.key} is believed",
        )
        return
    try:
        said = ZoneInfo(facts.zone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        notes.warning(
            check,
            f"the helpdesk's config.timezone is no zone that is known ({facts.zone[:40]!r}); the "
            f"registry says {zone.key}",
        )
        return
    if _are_alike(zone, said, now):
        notes.ok(check, f"{zone.key}, as the helpdesk's config.timezone ({said.key})")
    elif is_demo:
        notes.note(
            check,
            f"the demo's people of this client type in {zone.key}, whatever its config.timezone "
            f"({said.key}) says",
        )
    else:
        notes.wrong(
            check,
            f"the registry says {zone.key}, and the helpdesk's config.timezone {said.key}: set "
            f"togadesk.timezone: {said.key} in the registry, else all times are carried over wrongly",
        )


def _are_alike(one: ZoneInfo, other: ZoneInfo, now: datetime) -> bool:
    """Tell whether two zones have the same times: some have several names."""
    moments = (now + timedelta(days=15 * step) for step in range(-_MONTHS, _MONTHS))
    return all(
        moment.astimezone(one).utcoffset() == moment.astimezone(other).utcoffset()
        for moment in moments
    )
