"""What is measured of one flow of one client, when it is too much, and what to do then.

Pure functions of what was found; None: the registry wants that check off. What does not belong here:
finding it (``watch``), and which flows are watched at all (``look``).
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from elite_pipeline.health.findings import (
    CALL_LOG,
    DEAD_LETTERS,
    INBOX_AGE,
    QUIET_STATE,
    TICKET_FLOWS,
    WATERMARK_LAG,
    Finding,
)
from elite_pipeline.health.spoken import at, minutes, sentence, span
from elite_pipeline.health.watched import Watched
from elite_pipeline.inbox.rows import Backlog
from elite_pipeline.ledger import Counts
from elite_pipeline.ledger.flow_states import LOSSES_COUNT_FOR

#: So few busy runs in a row say nothing, however far they lie apart.
_FEW_RUNS = 3
_HOUR = timedelta(hours=1)
_NO_LETTERS = Counts(0, 0, None)
_EMPTY = Backlog(0, None, 0)


def watermark_lag(watched: Watched) -> Finding | None:
    """Tell how long ago all changes were known to be carried."""
    limits = watched.client.checks
    limit = (
        limits.watermark_lag_minutes
        if watched.flow in TICKET_FLOWS
        else limits.reference_lag_minutes
    )
    if limit is None:
        return None
    state, now, most = watched.state, watched.look.now, timedelta(minutes=limit)
    if state is None or state.known_carried_at is None:
        return watched.finding(
            WATERMARK_LAG,
            f"has never come through. {_why_never(watched)} To start it now: {watched.sync_command}",
            passed=False,
            is_severe=watched.error is not None,
            # whoever is setting up a client sees it, and wakes nobody
            is_told=True,
        )
    lag = now - state.known_carried_at
    numbers: dict[str, float] = {
        "lag (minutes)": minutes(lag),
        "at most (minutes)": limit,
        "seconds of the last run": round(state.seconds, 3),
        "calls of the last run": state.calls,
    }
    if state.watermark is not None:
        numbers["age of the watermark (minutes)"] = minutes(now - state.watermark)
    if lag <= most:
        text = f"had carried everything at {at(state.known_carried_at)}. {_stopped(watched)}"
    else:
        text = (
            f"has not come through since {at(state.known_carried_at)}, {span(lag)} ago; at most "
            f"{span(most)} are allowed. {_stopped(watched) or _NOTHING_STARTS_IT} The next run goes on "
            f"where the last one ended. To start one now: {watched.sync_command}"
        )
    return watched.finding(
        WATERMARK_LAG,
        text.rstrip(),
        passed=lag <= most,
        is_severe=True,
        numbers=numbers,
        is_told=watched.error is not None,
    )


_NOTHING_STARTS_IT = (
    "No run has stopped with an error meanwhile: either nothing starts one (look at Automation whether "
    "the sensor ticket_watermarks and the client's schedules are on, and at Deployment whether the "
    "daemons run), or one is queued or still under way (look at Runs)."
)


def _why_never(watched: Watched) -> str:
    return _stopped(watched) or (
        "A first run can take hours: look at Runs whether it is under way. If there is none, switch on "
        "its sensor and its schedules (Automation)."
    )


def _stopped(watched: Watched) -> str:
    """Say why the last run stopped; empty when it came through."""
    if watched.state is None or watched.error is None:
        return ""
    return f"Its last run stopped at {at(watched.state.last_failed)}: {sentence(watched.error)}"


def dead_letters(watched: Watched) -> Finding | None:
    """Tell how many records wait, for a later run or for a person."""
    limits, name = watched.client.checks, watched.client.name
    if limits.dead_letters_parked is None and limits.dead_letters_waiting is None:
        return None
    counts = watched.look.letters.get((name, watched.flow), _NO_LETTERS)
    is_over = _is_above(counts.parked, limits.dead_letters_parked)
    is_long = _is_above(counts.waiting, limits.dead_letters_waiting)
    numbers: dict[str, float] = {"waiting": counts.waiting, "parked": counts.parked}
    text = (
        f"has {counts.waiting} dead letters that later runs try again, and {counts.parked} parked"
    )
    if counts.oldest is not None:
        numbers["oldest (hours)"] = round((watched.look.now - counts.oldest) / _HOUR, 2)
        text += f"; the oldest since {at(counts.oldest)}"
    text += "."
    these = f"--client {name} --flow {watched.flow}"
    if is_over:
        text += (
            f" No run tries parked ones any more; at most {limits.dead_letters_parked} are allowed. See "
            f"why: elite-pipeline dead-letters list {these} --parked. Mend what it says, then have them "
            f"tried again: elite-pipeline dead-letters retry --all {these}"
        )
    elif is_long:
        text += (
            f" At most {limits.dead_letters_waiting} are allowed to wait: so many mostly have one cause. "
            f"See it: elite-pipeline dead-letters list {these}. Once that is mended they come through by "
            "themselves."
        )
    return watched.finding(
        DEAD_LETTERS,
        text,
        passed=not (is_over or is_long),
        is_severe=is_over,
        numbers=numbers,
        gauge=counts.waiting + counts.parked * 1_000_000,
        is_told=True,
    )


def _is_above(count: int, limit: int | None) -> bool:
    return limit is not None and count > limit


def inbox_age(watched: Watched) -> Finding | None:
    """Tell how long webhooks wait that could be worked on."""
    entry, limit = watched.client.freshservice, watched.client.checks.inbox_age_minutes
    if limit is None or entry is None:
        return None
    backlog = watched.look.inbox.get(entry.webhook_action, _EMPTY)
    most = timedelta(minutes=limit)
    age = watched.look.now - backlog.since if backlog.since is not None else timedelta()
    text = (
        f"has {backlog.rows} webhooks that could be worked on, the first since {at(backlog.since)}."
        if backlog.rows
        else "has no webhooks that could be worked on."
    )
    if age > most:
        text += (
            f" That is {span(age)}; at most {span(most)} are allowed. "
            + (
                _stopped(watched)
                or "Nothing works on them: look at Automation whether the sensor webhook_inbox is on, "
                "and at Runs whether a run of the client is queued or still under way."
            )
            + f" To work on them now: {watched.sync_command}"
        )
    return watched.finding(
        INBOX_AGE,
        text,
        passed=age <= most,
        is_severe=True,
        numbers={
            "age (minutes)": minutes(age),
            "at most (minutes)": limit,
            "webhooks": backlog.rows,
            "given up": backlog.dead,
        },
        gauge=min(backlog.rows, 1),
        is_told=watched.error is not None,
    )


def quiet_state(watched: Watched) -> Finding | None:
    """Tell since when each run has had something to do."""
    limit, state = watched.client.checks.quiet_hours, watched.state
    if limit is None:
        return None
    numbers: dict[str, float] = {"busy (hours)": 0.0, "busy runs": 0, "at most (hours)": limit}
    passed = True
    if state is None or state.last_run is None:
        text = "has not come through yet."
    elif state.busy_since is None:
        text = f"had nothing to do in its last run, at {at(state.last_run)}."
    else:
        busy = state.last_run - state.busy_since
        passed = busy <= limit * _HOUR or state.busy_runs <= _FEW_RUNS
        numbers |= {"busy (hours)": round(busy / _HOUR, 2), "busy runs": state.busy_runs}
        quiet = (
            f"was last quiet at {at(state.last_quiet)}" if state.last_quiet else "was never quiet"
        )
        text = f"{quiet}: {state.busy_runs} runs since {at(state.busy_since)} had something to do."
        if not passed:
            text += _never_at_rest(state.failed, span(busy), limit)
    return watched.finding(
        QUIET_STATE,
        text,
        passed=passed,
        is_severe=False,
        numbers=numbers,
        gauge=min(numbers["busy runs"], 1),
    )


def _never_at_rest(failed: int, busy: str, limit: int) -> str:
    fails = (
        f" {failed} records failed in the last one; one that fails in each run keeps a flow busy too."
        if failed
        else ""
    )
    return (
        f" That is {busy} without a pause; at most {limit} hours are allowed. Look at the changes that "
        "stand with the last materializations. The same records again and again are an echo: both sides "
        f"answer each other, which is a defect; please report it.{fails} If it is true work, raise "
        "checks.quiet_hours of the client in the registry."
    )


def call_log(watched: Watched) -> Finding | None:
    """Tell how many calls are missing in the call log."""
    limit, state = watched.client.checks.call_log_losses, watched.state
    if limit is None:
        return None
    lost, lost_at = (state.log_lost, state.log_lost_at) if state is not None else (0, None)
    if lost_at is None or watched.look.now - lost_at > LOSSES_COUNT_FOR:
        lost = 0
    text = f"misses {lost} calls in the call log, the last at {at(lost_at)}."
    if lost > limit:
        text += (
            f" At most {limit} are allowed. Only the log lacks them; nothing was left undone. Its last "
            "runs say why: mostly the database of CLIENT_LOGS_DATABASE_URL is down, slow, or full. "
            "This passes again a day after the last loss."
        )
    return watched.finding(
        CALL_LOG,
        text if lost else "misses no calls in the call log.",
        passed=lost <= limit,
        is_severe=False,
        numbers={"missing": lost, "at most": limit},
        gauge=lost,
    )


#: Check -> how it looks at a flow.
RULES: Mapping[str, Callable[[Watched], Finding | None]] = {
    WATERMARK_LAG: watermark_lag,
    DEAD_LETTERS: dead_letters,
    INBOX_AGE: inbox_age,
    QUIET_STATE: quiet_state,
    CALL_LOG: call_log,
}
