"""Everything looked at, in order: first what all clients share, then each client, several at once."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from elite_pipeline.clients import Client
from elite_pipeline.doctor.findings import Finding, Notes
from elite_pipeline.doctor.freshservice_side import look_at_freshservice
from elite_pipeline.doctor.helpdesk import look_at_client, look_at_helpdesk
from elite_pipeline.doctor.needs import WITH_FILES, flows_on, rights_of
from elite_pipeline.doctor.own_databases import look_at_call_log, look_at_pipeline_database
from elite_pipeline.doctor.surroundings import (
    look_at_dagster,
    look_at_entry,
    look_at_registry,
    look_at_secrets_file,
    look_at_sentry,
)
from elite_pipeline.doctor.toga2_side import look_at_toga2
from elite_pipeline.doctor.uploads_folder import look_at_uploads
from elite_pipeline.settings import Settings
from elite_pipeline.togadesk.facts import Facts
from elite_pipeline.transport import Redactor

#: Clients at once: most of their time is spent waiting for an answer.
_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found.

    Attributes:
        client: Whom it concerns; None: all.
        findings: In order.
    """

    client: str | None
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be mended."""
        return all(finding.state != "wrong" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class _Common:
    """What looking at a client takes of what was seen before."""

    settings: Settings
    facts: Facts | None
    has_own_tables: bool
    now: Callable[[], datetime]


def examine(
    settings: Settings,
    names: Sequence[str] = (),
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    folder: Path | None = None,
) -> Iterator[Examined]:
    """Look at everything and yield what was found, what all share coming first.

    Args:
        settings: Of this process.
        names: Which clients; none: all of the registry.
        now: The time, aware.
        folder: Where a file of secrets may lie; by default this one.
    """
    redactor = Redactor(settings.secret_values())
    notes = Notes(redactor)
    known = look_at_registry(notes, settings)
    look_at_secrets_file(notes, folder or Path.cwd())
    if known is None:
        # without it nothing says whether all is the demo's, and nothing is looked at by guess
        for check in (
            "togadesk.database",
            "uploads.folder",
            "pipeline.database",
            "call_log.database",
        ):
            notes.not_looked_at(check, "the registry comes first")
        look_at_sentry(notes, settings)
        yield Examined(None, tuple(notes.findings))
        return
    chosen = tuple(dict.fromkeys(names)) or known
    clients = [
        client for name in chosen if (client := settings.registry.clients.get(name)) is not None
    ]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        common = _look_at_common(pool, notes, settings, clients, now)
        yield Examined(None, tuple(notes.findings))
        look = partial(_look_at_one, common, redactor)
        yield from pool.map(look, chosen)


def _look_at_common(
    pool: ThreadPoolExecutor,
    notes: Notes,
    settings: Settings,
    clients: Sequence[Client],
    now: Callable[[], datetime],
) -> _Common:
    """Look at what all share, at several systems at once: one that is away holds up no other."""
    flows = {flow for client in clients for flow in flows_on(client)}
    helpdesk, uploads, pipeline, log, last = parts = [Notes(notes.redact) for _ in range(5)]
    facts = pool.submit(look_at_helpdesk, helpdesk, settings, rights_of(sorted(flows)))
    folder = pool.submit(look_at_uploads, uploads, settings, needed=bool(flows & WITH_FILES))
    is_whole = pool.submit(look_at_pipeline_database, pipeline, settings)
    logged = pool.submit(look_at_call_log, log, settings)
    look_at_sentry(last, settings)
    look_at_dagster(last, settings)
    common = _Common(settings, facts.result(), is_whole.result(), now)
    folder.result()
    logged.result()
    for part in parts:
        notes.findings += part.findings
    return common


def _look_at_one(common: _Common, redactor: Redactor, name: str) -> Examined:
    notes = Notes(redactor)
    settings = common.settings
    client = look_at_entry(notes, settings, name)
    if client is not None:
        look_at_toga2(notes, settings, client, common.now)
        look_at_client(notes, common.facts, client, common.now, is_demo=settings.is_demo)
        look_at_freshservice(notes, settings, client, common.now, has_budget=common.has_own_tables)
    return Examined(name, tuple(notes.findings))
