"""The sensor that looks at both sides of every client: a thin shell over ``sync.probe``.

At each tick it asks for at most one run for each client, and only where something changed past what has
been *seen*, where dead letters are due, where its last run failed, or where a person has set the cursor
back. The cursor says what has been seen, as JSON that people can read and edit
(``sync.seen_watermarks``). What has been *synced* is said by the stored watermarks in TOGA 2 alone:
setting the cursor forward skips nothing, and setting it back gives the run that ``since``.

A client whose run is still under way, that cannot be looked at, or whose runs fail, keeps its cursor: its
changes are found by a later tick. There is no run key: a cursor that is set back runs again.
"""

import json
import random
from collections.abc import Collection, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster import DagsterRunStatus

from elite_pipeline.defs import jobs
from elite_pipeline.defs.assets.ticket_deltas import TOGA2_TICKET_DELTAS, TOGADESK_TICKET_DELTAS
from elite_pipeline.defs.cursors import cursor_now, refusing_what_is_mistyped
from elite_pipeline.defs.lanes import (
    LONG,
    LONG_TAG,
    PARTITION_TAG,
    REASON_TAG,
    SENSOR_TAG,
    failures_in_a_row,
    lane_tags,
    runs_under_way,
)
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.probe_assembly import Prober
    from elite_pipeline.sync.probe import Finding
    from elite_pipeline.sync.seen_watermarks import Seen

TICKET_WATERMARKS = "ticket_watermarks"

#: Direction -> the asset that it materializes.
ASSETS: Mapping[str, dg.AssetKey] = {
    "toga2_to_togadesk": TOGADESK_TICKET_DELTAS,
    "togadesk_to_toga2": TOGA2_TICKET_DELTAS,
}
#: Where Dagster keeps what the cursor was left at, beside its own cursors: whoever has set it back since
#: must be noticed, also when the client's run has to be waited for.
LEFT_KEY = f"elite_pipeline/{TICKET_WATERMARKS}"

#: Seconds between two ticks.
_INTERVAL = 30
_INTERVAL_IN_THE_DEMO = 5
#: After a run that failed: so long until the next one, and twice as long after the next.
_FIRST_PAUSE = timedelta(seconds=30)
_LONGEST_PAUSE = timedelta(minutes=10)
#: Runs that are looked back at for it.
_MOST_FAILED = 6
#: How often a tick begins again because a person sets the cursor meanwhile.
_MOST_EDITS = 3
#: How often it is noted that there is nothing new: many times within the least lag that is an alarm.
_NOTED_EVERY = timedelta(minutes=1)
#: Reasons that a skipped tick names, and characters of a tag.
_MOST_REASONS = 20
_LONGEST_TAG = 250


@dataclass(frozen=True, slots=True)
class _Owed:
    """What earlier runs of a client have left to be done.

    Attributes:
        reason: Why a run is to be asked for although nothing is new; empty: there is no reason.
        since: Direction -> a watermark that a person chose, from which no run has come through yet.
        is_long: Whether the run that failed counted as a long one.
        pause_until: No run is asked for before then.
        failed: Runs that have failed in a row.
    """

    reason: str = ""
    since: Mapping[str, str] = field(default_factory=dict)
    is_long: bool = False
    pause_until: datetime | None = None
    failed: int = 0


@dataclass(slots=True)
class _Tick:
    """What a tick comes to.

    Attributes:
        seen: The cursor's new value.
        left_out: Client -> why nothing is asked for.
        quiet: Clients of which everything is carried.
        said: For the tick's log.
    """

    seen: dict[str, Mapping[str, datetime]]
    requests: list[dg.RunRequest] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    quiet: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


def ticket_watermarks(settings: Settings, *, is_demo: bool) -> dg.SensorDefinition:
    """Return the sensor.

    It is on by itself in a running demo, and off elsewhere until an operator switches it on.
    """
    registry = settings.registry
    clients = [
        name
        for name in registry.names
        if name in registry.clients
        and any(getattr(registry.clients[name].flows, direction) for direction in ASSETS)
    ]

    @cache
    def prober() -> "Prober":
        # here: processes that only load the definitions never look
        from elite_pipeline.probe_assembly import Prober  # noqa: PLC0415 - see above

        return Prober(settings)

    noted = _Noted(settings)

    @dg.sensor(
        name=TICKET_WATERMARKS,
        job_name=jobs.TICKETS.name,
        minimum_interval_seconds=_INTERVAL_IN_THE_DEMO if is_demo else _INTERVAL,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if is_demo else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            "Looks at both sides of every client (a call or two for one record of TOGA 2, one statement "
            "in the helpdesk) and asks for a run where something changed. The cursor says how far was "
            'seen: {"client": {"direction": "YYYY-MM-DD HH:MM:SS"}}, in UTC. Set a time back, and that '
            "direction is synced again from there; take a client out, and it goes on from its stored "
            "watermark."
        ),
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        from elite_pipeline.sync.seen_watermarks import (  # noqa: PLC0415 - most processes never look
            format_seen,
            parse_seen,
        )

        instance = context.instance
        now = datetime.now(UTC)
        left = _left(instance, now)
        written = context.cursor
        for _ in range(_MOST_EDITS):
            with refusing_what_is_mistyped():
                cursor = parse_seen(written, clients=registry.names, known=left, now=now)
            tick = _look(instance, prober(), clients, cursor, left, _letters(settings, now), now)
            # the daemon writes the tick's cursor over what a person sets meanwhile
            typed = cursor_now(instance, TICKET_WATERMARKS, written)
            if typed == written:
                break
            written = typed
        text = format_seen(tick.seen)
        looked_at = {
            client: marks for client, marks in tick.seen.items() if client not in tick.left_out
        }
        instance.daemon_cursor_storage.set_cursor_values(
            {LEFT_KEY: format_seen({**left, **looked_at})}
        )
        tick.said += noted.quiet(tick.quiet, now)
        for line in (*tick.said, *(f"{name}: {why}" for name, why in tick.left_out.items())):
            context.log.info("%s", line)
        return dg.SensorResult(
            run_requests=tick.requests,
            skip_reason=None if tick.requests else _skipped(tick, clients),
            cursor=text,
        )

    return sensor


class _Noted:
    """Notes, for the checks, of whom everything is carried: nothing happening is no lag.

    One for each process that looks. It need not be known to the second, and is written once in a while.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._last: datetime | None = None

    def quiet(self, clients: Collection[str], now: datetime) -> list[str]:
        """Note whom a tick that began at ``now`` found nothing new of; return what went wrong."""
        if not clients or (self._last is not None and now - self._last < _NOTED_EVERY):
            return []
        from elite_pipeline.errors import PipelineError  # noqa: PLC0415 - most processes never look
        from elite_pipeline.ledger import FlowStateReader  # noqa: PLC0415 - likewise

        registry = self._settings.registry
        flows = [
            (client, direction)
            for client in clients
            for direction in ASSETS
            if getattr(registry.clients[client].flows, direction)
        ]
        try:
            with closing(FlowStateReader(self._settings.pipeline_url)) as states:
                states.nothing_new(flows, now)
        except PipelineError as error:
            return [f"`status` and the checks do not know that nothing is new: {error}"]
        self._last = now
        return []


def _left(instance: dg.DagsterInstance, now: datetime) -> "Seen":
    """Return what the cursor was left at by the ticks before this one."""
    from elite_pipeline.sync.seen_watermarks import parse_seen  # noqa: PLC0415 - most never look

    kept = instance.daemon_cursor_storage.get_cursor_values({LEFT_KEY}).get(LEFT_KEY)
    # who is in it was in the registry once
    clients = json.loads(kept) if kept else {}
    return parse_seen(kept, clients=clients, known=(), now=now)


def _letters(settings: Settings, now: datetime) -> Mapping[str, int]:
    """Return client -> how many dead letters are due, either way."""
    from elite_pipeline.ledger import DeadLetterOffice  # noqa: PLC0415 - most processes never look

    counts: dict[str, int] = {}
    with closing(DeadLetterOffice(settings.pipeline_url)) as office:
        for direction in ASSETS:
            for client, count in office.due(direction, now).items():
                counts[client] = counts.get(client, 0) + count
    return counts


def _look(
    instance: dg.DagsterInstance,
    prober: "Prober",
    clients: Collection[str],
    cursor: "Seen",
    left: "Seen",
    letters: Mapping[str, int],
    now: datetime,
) -> _Tick:
    """Look at all clients, and decide for each."""
    tick = _Tick(dict(cursor))
    under_way = runs_under_way(instance, {jobs.TICKETS.name, jobs.EVERYTHING.name}, ASSETS.values())
    owed: dict[str, _Owed] = {}
    for client in clients:
        if (run_id := under_way.get(client)) is not None:
            tick.left_out[client] = f"run {run_id[:8]} is still under way; what changed waits"
            continue
        owed[client] = _owed(instance, client)
        until = owed[client].pause_until
        if until is not None and now < until:
            tick.left_out[client] = (
                f"its runs fail ({owed[client].failed} in a row); the next one is asked for at "
                f"{until:%H:%M:%S} UTC, or start one by hand"
            )
            del owed[client]
    # in another order every time: should time run out, it is not for the same ones always
    order = random.sample(list(owed), len(owed))
    found = prober.look(order, cursor, left)
    for client, left_undone in owed.items():
        finding = found[client]
        if isinstance(finding, str):
            tick.left_out[client] = f"could not be looked at: {finding}"
            continue
        tick.seen[client] = finding.seen
        tick.said += [f"{client}: {remark}" for remark in finding.remarks]
        reasons = [*finding.news.values()]
        if (count := letters.get(client, 0)) > 0:
            reasons.append(
                "1 dead letter is due" if count == 1 else f"{count} dead letters are due"
            )
        if left_undone.reason:
            reasons.append(left_undone.reason)
        if reasons:
            tick.requests.append(_request(client, finding, left_undone, reasons))
            since = ", ".join(f"{name} since {at}" for name, at in _since(finding, left_undone))
            tick.said.append(
                f"{client}: asks for a run: {'; '.join(reasons)}" + (f"; {since}" if since else "")
            )
        else:
            tick.quiet.append(client)
    return tick


def _request(client: str, finding: "Finding", owed: _Owed, reasons: Iterable[str]) -> dg.RunRequest:
    since = dict(_since(finding, owed))
    is_long = finding.is_first or owed.is_long or bool(since)
    return dg.RunRequest(
        partition_key=client,
        run_config=(
            {
                "ops": {
                    ASSETS[direction].to_python_identifier(): {"config": {"since": at}}
                    for direction, at in since.items()
                }
            }
            if since
            else None
        ),
        tags={
            **lane_tags(client, jobs.TICKETS.name),
            **(LONG if is_long else {}),
            REASON_TAG: "; ".join(reasons)[:_LONGEST_TAG],
        },
    )


def _since(finding: "Finding", owed: _Owed) -> list[tuple[str, str]]:
    """Return the watermarks that a person chose: of two for one direction the earlier one."""
    from elite_pipeline.toga2.wire import format_time  # noqa: PLC0415 - most processes never look

    chosen = {direction: format_time(at) for direction, at in finding.since.items()}
    for direction, at in owed.since.items():
        # as text they compare as times
        chosen[direction] = min(at, chosen.get(direction, at))
    return sorted(chosen.items())


def _owed(instance: dg.DagsterInstance, client: str) -> _Owed:
    """Return what the client's latest runs have left undone.

    A run was asked for once, and the cursor has moved on: if it failed, nobody else would ask.
    """
    records = instance.get_run_records(
        dg.RunsFilter(job_name=jobs.TICKETS.name, tags={PARTITION_TAG: client}), limit=_MOST_FAILED
    )
    asked = [
        one.dagster_run
        for one in records
        if one.dagster_run.tags.get(SENSOR_TAG) == TICKET_WATERMARKS
    ]
    chosen = asked[0] if asked and asked[0].status is DagsterRunStatus.FAILURE else None
    since = _since_of(chosen) if chosen is not None else {}
    failed = failures_in_a_row([one.dagster_run for one in records])
    if not failed and not since:
        return _Owed()
    ended = records[0].end_time
    pause = min(_FIRST_PAUSE * (1 << max(failed - 1, 0)), _LONGEST_PAUSE)
    latest = chosen or records[0].dagster_run
    return _Owed(
        reason=f"run {latest.run_id[:8]} has failed",
        since=since,
        is_long=LONG_TAG in latest.tags,
        pause_until=datetime.fromtimestamp(ended, UTC) + pause if failed and ended else None,
        failed=failed,
    )


def _since_of(run: dg.DagsterRun) -> dict[str, str]:
    config: Mapping[str, Any] = run.run_config
    ops = config.get("ops", {})
    found = {
        direction: ops.get(asset.to_python_identifier(), {}).get("config", {}).get("since")
        for direction, asset in ASSETS.items()
    }
    return {direction: since for direction, since in found.items() if since}


def _skipped(tick: _Tick, clients: Collection[str]) -> str:
    quiet = len(clients) - len(tick.left_out)
    reasons = [f"{client}: {reason}" for client, reason in tick.left_out.items()]
    if len(reasons) > _MOST_REASONS:
        reasons[_MOST_REASONS:] = [f"and {len(reasons) - _MOST_REASONS} more"]
    said = [f"nothing new on either side of {quiet} of {len(clients)} clients"] if clients else []
    return "; ".join(said + reasons) or "no client has tickets to sync"
