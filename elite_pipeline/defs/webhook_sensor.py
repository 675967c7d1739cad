"""The sensor that is fed by webhooks: a thin shell over ``inbox.watch``.

At each tick it asks for at most one run for each client that has rows or dead letters to be worked on,
and leaves a client alone whose last run is still under way: nothing is lost by that, because what is due
is found by the rows' status and not by the cursor. There is no run key: moving the cursor back runs
again.

A tick stays and looks on for a few seconds where nothing waits: what comes in meanwhile is taken at once,
although the daemon starts a tick every five seconds at the soonest (``docs/decisions/0009``).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster import DagsterRunStatus

from elite_pipeline.clients import Registry
from elite_pipeline.defs import jobs
from elite_pipeline.defs.assets.ticket_deltas import FRESHSERVICE_TICKET_DELTAS
from elite_pipeline.defs.cursors import cursor_now, refusing_what_is_mistyped
from elite_pipeline.defs.lanes import (
    LANE_TAG,
    UNDER_WAY,
    clients_with_freshservice,
    lane_tags,
)
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.inbox import Due, Inbox

WEBHOOK_INBOX = "webhook_inbox"

#: Says which rows a run was asked for.
ROWS_TAG = "elite_pipeline/webhook_rows"

#: Seconds. The daemon looks every five, and leaves a sensor out that ticked less than this ago: with
#: five, every other time.
_INTERVAL = 1
#: Seconds that a tick looks on for; the daemon's next turn comes soon after.
_LOOKS_ON_SECONDS = 4.5
_LOOK_SECONDS = 0.5
#: After a run that failed as a whole: so long until the next try, and twice as long after the next.
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=10)
#: Runs that are looked back at for it.
_MOST_FAILED = 6


@dataclass(frozen=True, slots=True)
class _Work:
    """What there is to do for one client."""

    rows: "Due | None"
    letters: int

    @property
    def shown(self) -> str:
        """Which rows they are, for a tag."""
        if self.rows is None:
            return f"none; {self.letters} dead letters are due"
        if self.rows.first_id == self.rows.last_id:
            return f"{self.rows.first_id}"
        return f"{self.rows.first_id} to {self.rows.last_id}: {self.rows.count} rows"


def webhook_inbox(
    settings: Settings, *, is_demo: bool, looks_on_seconds: float = _LOOKS_ON_SECONDS
) -> dg.SensorDefinition:
    """Return the sensor.

    It is on by itself in a running demo, and off elsewhere until an operator switches it on.

    Args:
        settings: The process's settings.
        is_demo: Whether a demo is running.
        looks_on_seconds: How long a tick goes on looking where there is nothing to ask for.
    """
    registry = settings.registry

    @dg.sensor(
        name=WEBHOOK_INBOX,
        job_name=jobs.FRESHSERVICE.name,
        minimum_interval_seconds=_INTERVAL,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if is_demo else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            "Looks for webhooks that wait (table WorkerJobs) and asks for one run for each client that "
            "has some. The cursor is the last row seen: set it back to an earlier row's id, and the "
            "webhooks behind that are carried once more."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        # here: processes that only load the definitions never look into the inbox
        from elite_pipeline.inbox.watch import look, parse_cursor  # noqa: PLC0415 - see above

        clients = _by_action(registry)
        written = context.cursor
        with refusing_what_is_mistyped():
            cursor = parse_cursor(written)
        until = time.monotonic() + looks_on_seconds
        with _open(settings) as (inbox, office):
            while True:
                # the daemon writes the tick's cursor over what a person sets meanwhile
                if (typed := cursor_now(context.instance, WEBHOOK_INBOX, written)) != written:
                    with refusing_what_is_mistyped():
                        written, cursor = typed, parse_cursor(typed)
                now = datetime.now(UTC)
                seen = look(inbox, cursor, clients, now)
                cursor = seen.cursor
                if seen.reopened:
                    context.log.info(
                        "the cursor was moved back: %d webhooks are replayed", seen.reopened
                    )
                work = _work(seen.due, office(now), clients)
                requests, left = _requests(context.instance, work, seen.latest, now)
                # one that was moved back is kept slice by slice, should the next look fail
                if requests or seen.reopened or time.monotonic() + _LOOK_SECONDS > until:
                    break
                time.sleep(_LOOK_SECONDS)
        for reason in left:
            context.log.info("%s", reason)
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else "; ".join(left) or "no webhooks wait",
            cursor=str(cursor),
        )

    return sensor


def _work(
    due: Sequence["Due"], letters: Mapping[str, int], clients: Mapping[str, str]
) -> dict[str, _Work]:
    rows = {clients[one.action]: one for one in due}
    return {
        client: _Work(rows.get(client), letters.get(client, 0))
        for client in clients.values()
        if client in rows or client in letters
    }


@contextmanager
def _open(
    settings: Settings,
) -> Iterator[tuple["Inbox", Callable[[datetime], Mapping[str, int]]]]:
    from elite_pipeline.inbox.store import Inbox  # noqa: PLC0415 - most processes never look
    from elite_pipeline.ledger.dead_letter_office import DeadLetterOffice  # noqa: PLC0415 - as above
    from elite_pipeline.sync.freshservice_keys import FLOW  # noqa: PLC0415 - as above

    with (
        closing(Inbox(settings.pipeline_url)) as inbox,
        closing(DeadLetterOffice(settings.pipeline_url)) as office,
    ):
        yield inbox, lambda now: office.due(FLOW, now)


def _by_action(registry: Registry) -> dict[str, str]:
    """Return action -> client, of the clients whose webhooks are worked on."""
    return {
        entry.webhook_action: name
        for name in sorted(clients_with_freshservice(registry))
        if (entry := registry.clients[name].freshservice) is not None
    }


def _requests(
    instance: dg.DagsterInstance, work: Mapping[str, _Work], latest: int, now: datetime
) -> tuple[list[dg.RunRequest], list[str]]:
    """Return the runs to ask for, and why there is none for the others."""
    requests: list[dg.RunRequest] = []
    left: list[str] = []
    for client, one in work.items():
        tags = dict(lane_tags(client, jobs.FRESHSERVICE.name))
        reason = _reason_to_wait(instance, client, tags[LANE_TAG], now)
        if reason is not None:
            left.append(reason)
            continue
        config = {"sweep": False, "up_to_row": latest}
        requests.append(
            dg.RunRequest(
                partition_key=client,
                tags={**tags, ROWS_TAG: one.shown},
                run_config=dg.RunConfig(
                    ops={FRESHSERVICE_TICKET_DELTAS.to_python_identifier(): {"config": config}}
                ),
            )
        )
    return requests, left


def _reason_to_wait(
    instance: dg.DagsterInstance, client: str, lane: str, now: datetime
) -> str | None:
    """Return why no run of a client is asked for now; None: one is."""
    records = instance.get_run_records(dg.RunsFilter(tags={LANE_TAG: lane}), limit=_MOST_FAILED)
    under_way = [one for one in records if one.dagster_run.status in UNDER_WAY]
    if under_way:
        run_id = under_way[0].dagster_run.run_id
        return f"{client}: run {run_id[:8]} is still under way; its webhooks wait"
    failed = 0
    for record in records:
        if record.dagster_run.status is not DagsterRunStatus.FAILURE:
            break
        failed += 1
    if not failed or records[0].end_time is None:
        return None
    pause = min(_FIRST_PAUSE * (1 << (failed - 1)), _LONGEST_PAUSE)
    until = datetime.fromtimestamp(records[0].end_time, UTC) + pause
    if now >= until:
        return None
    return (
        f"{client}: its runs fail ({failed} in a row); the next one is asked for at "
        f"{until:%H:%M:%S} UTC, or start one by hand"
    )
