"""Housekeeping of the project's own tables: old rows go, a slice at a time.

What goes: webhooks that are done, and calls of the call log, each where it is older than so many days.
What stays, however old: webhooks that still have to be worked on, dead letters, and all that the flows
remember from run to run. What is given up as ``DEAD`` goes only where an age is set for it.

Tables are walked in the order of their ids, and each slice is a transaction of its own: nobody who writes
beside it waits for longer than one of them takes.

What does not belong here: Dagster's own runs and logs (``defs/old_runs``).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from elite_pipeline.errors import ConfigurationError, PipelineError, SystemicError
from elite_pipeline.inbox.tables import DEAD, DONE, worker_jobs
from elite_pipeline.inbox.tables import metadata as inbox_tables
from elite_pipeline.ledger.database import LedgerDatabase
from elite_pipeline.observability.call_log_tables import api
from elite_pipeline.own_tables import connect, shown
from elite_pipeline.settings import Settings

#: Rows that are looked at together. A call's row may hold two bodies of 16 MiB.
SLICE = 1000
#: Seconds for one statement.
_TIMEOUT = 60

CALL_LOG = "CLIENT_LOGS_DATABASE_URL"

Transaction = Callable[[], AbstractContextManager[sa.Connection]]


@dataclass(frozen=True, slots=True)
class Ages:
    """How many days old what goes is. None: it stays for good.

    Attributes:
        run_days: Dagster's finished runs, with their logs.
        webhook_days: Webhooks that are ``DONE``, since they were.
        dead_webhook_days: Webhooks that are ``DEAD``, since they came.
        call_days: Calls in the call log.
    """

    run_days: int | None
    webhook_days: int | None
    dead_webhook_days: int | None
    call_days: int | None


@dataclass(frozen=True, slots=True)
class Swept:
    """What was done with one kind of thing, or would be.

    Attributes:
        what: What it is, as a person would say it.
        days: Older than this; None: it is kept for good.
        removed: How many went; in a dry run, how many would.
        is_complete: Whether that is all: else time was up, and the next housekeeping goes on.
        remark: What else there is to say.
    """

    what: str
    days: int | None
    removed: int = 0
    is_complete: bool = True
    remark: str = ""

    @property
    def sentence(self) -> str:
        """What an operator reads."""
        if self.days is None:
            return f"{self.what}: {self.remark or 'kept for good'}"
        text = f"{self.what} older than {self.days} days: {self.removed:,}"
        if self.remark:
            text += f"; {self.remark}"
        return text if self.is_complete else f"{text}; time was up, the next one goes on"


def ages(
    settings: Settings,
    *,
    run_days: int | None = None,
    webhook_days: int | None = None,
    dead_webhook_days: int | None = None,
    call_days: int | None = None,
) -> Ages:
    """Return what was chosen; where nothing was, what the environment says, else the defaults.

    Raises:
        ConfigurationError: ``DEAD`` webhooks would go sooner than those that are done.
    """
    chosen = Ages(
        run_days=run_days or settings.housekeeping_run_days,
        webhook_days=webhook_days or settings.housekeeping_webhook_days,
        dead_webhook_days=dead_webhook_days or settings.housekeeping_dead_webhook_days,
        call_days=call_days or settings.housekeeping_call_days,
    )
    dead, done = chosen.dead_webhook_days, chosen.webhook_days
    if dead is not None and done is not None and dead < done:
        raise ConfigurationError(
            f"Webhooks that are DEAD would go after {dead} days, and those that are DONE after {done}: "
            "what nobody has looked at must not go first. Set HOUSEKEEPING_DEAD_WEBHOOK_DAYS to "
            f"{done} or more, or leave it out to keep them for good. Nothing was removed."
        )
    return chosen


def own_rows(
    settings: Settings,
    ages: Ages,
    now: datetime,
    *,
    dry_run: bool,
    is_time_up: Callable[[], bool],
) -> Iterator[Callable[[], Swept]]:
    """Yield what there is to do, one thing at a time: one that fails keeps no other from being done.

    Each raises, when it is called, what the database does: ``TransientError`` or ``SystemicError``;
    ``ConfigurationError`` where the address cannot be used.
    """
    url, log = settings.pipeline_url, settings.client_logs_url
    for status, days in ((DONE, ages.webhook_days), (DEAD, ages.dead_webhook_days)):
        yield partial(_webhooks, url, status, days, now, dry_run, is_time_up)
    yield partial(_calls, log, ages.call_days, now, dry_run, is_time_up)


def _webhooks(
    url: str,
    status: str,
    days: int | None,
    now: datetime,
    dry_run: bool,
    is_time_up: Callable[[], bool],
) -> Swept:
    what = f"webhooks that are {status}"
    if days is None:
        return Swept(what, None)
    before = _stored(now, days)
    # others who insert rows know no dtFinished
    since = sa.func.coalesce(worker_jobs.c.dtFinished, worker_jobs.c.dtStamp)
    with closing(LedgerDatabase(url, tables=inbox_tables)) as database:
        if not database.is_there():
            return Swept(what, days)
        removed, is_complete = _sweep(
            database.begin,
            worker_jobs.c.id,
            worker_jobs.c.dtStamp,
            sa.and_(worker_jobs.c.status == status, since < before),
            before,
            dry_run=dry_run,
            is_time_up=is_time_up,
        )
    return Swept(what, days, removed, is_complete)


def _calls(
    url: str | None,
    days: int | None,
    now: datetime,
    dry_run: bool,
    is_time_up: Callable[[], bool],
) -> Swept:
    what = "calls in the call log"
    if days is None or url is None:
        return Swept(what, None, remark="" if url else "not logged")
    before = _stored(now, days)
    engine = connect(url, CALL_LOG, timeout_seconds=_TIMEOUT)
    try:
        with _call_log(engine) as connection:
            if not sa.inspect(connection).has_table(api.name):
                return Swept(
                    what, days, remark="there is no table Api yet (elite-pipeline init-db)"
                )
        removed, is_complete = _sweep(
            lambda: _call_log(engine),
            api.c.id,
            api.c.dtStamp,
            api.c.dtStamp < before,
            before,
            dry_run=dry_run,
            is_time_up=is_time_up,
        )
    finally:
        engine.dispose()
    return Swept(what, days, removed, is_complete)


@contextmanager
def _call_log(engine: sa.Engine) -> Iterator[sa.Connection]:
    try:
        with engine.begin() as connection:
            yield connection
    except sa.exc.DBAPIError as error:
        raise SystemicError(
            f"The database of {CALL_LOG} ({shown(engine)}) failed: {error.orig}. Check the address, and "
            "that its user may SELECT and DELETE on the table Api; writing the log takes INSERT alone."
        ) from error


def _sweep(
    begin: Transaction,
    row_id: sa.Column[Any],
    arrived: sa.Column[Any],
    is_old: sa.ColumnElement[bool],
    before: datetime,
    *,
    dry_run: bool,
    is_time_up: Callable[[], bool],
) -> tuple[int, bool]:
    """Delete a table's old rows; return how many, and whether that is all of them.

    Ids are given in the order in which rows are made, give or take those of the same moment: a whole
    slice of young ones is the end.
    """
    table = row_id.table
    removed, last = 0, -1
    while True:
        with begin() as connection:
            seen = connection.execute(
                sa.select(row_id, arrived).where(row_id > last).order_by(row_id).limit(SLICE)
            ).all()
            if not seen or all(row[1] >= before for row in seen):
                return removed, True
            if is_time_up():
                return removed, False
            # only what was looked at: rows that come meanwhile are not touched
            old = sa.and_(row_id.between(seen[0][0], seen[-1][0]), is_old)
            if dry_run:
                count = sa.select(sa.func.count()).select_from(table).where(old)
                removed += connection.execute(count).scalar_one()
            else:
                removed += connection.execute(sa.delete(table).where(old)).rowcount
            last = seen[-1][0]


def _stored(now: datetime, days: int) -> datetime:
    return (now - timedelta(days=days)).astimezone(UTC).replace(tzinfo=None)


def done_one_by_one(
    tasks: Iterator[Callable[[], Swept]], tell: Callable[[str], None]
) -> tuple[list[Swept], list[PipelineError]]:
    """Do things one after the other; return what was done, and what failed.

    Args:
        tasks: What :func:`own_rows` yields, and others of the kind.
        tell: Told a sentence about each thing that was done.
    """
    done: list[Swept] = []
    failed: list[PipelineError] = []
    for task in tasks:
        try:
            swept = task()
        except PipelineError as error:
            failed.append(error)
        else:
            tell(swept.sentence)
            done.append(swept)
    return done, failed
