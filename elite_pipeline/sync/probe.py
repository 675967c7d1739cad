"""Looks, cheaply, whether either side of a client has something that was not seen yet.

``spec/sync.md`` section 2: what is *seen* is no watermark that is stored; it only says whether a run is
worth asking for. A look at TOGA 2 is one call for one record: tickets first, and only when none has
changed, notes, which change under tickets that do not. A look at the helpdesk is one statement
(``togadesk.unsent``).

What the sync itself wrote is not taken for news in the helpdesk, where it carries its reference. In
TOGA 2 nothing tells: a note that was just sent is seen as a change once, and the run that is asked for
because of it finds nothing to do.

What is committed late, under a watermark that has been seen, is found by the schedule that runs now and
then in any case. What does not belong here: asking for runs (``defs``), and the text of the cursor
(``seen_watermarks``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from elite_pipeline.clients import Client
from elite_pipeline.sync.seen_watermarks import DIRECTIONS
from elite_pipeline.sync.watermarks import BEGINNING, Watermarks
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.togadesk import TogadeskStore

_SECOND = timedelta(seconds=1)
#: What was changed so shortly before TOGA 2 answered counts as not seen yet: more may follow in that
#: second, or be committed a moment late. Looked at once more, it costs a run that has nothing to do.
_STILL_OPEN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class ProbedSystems:
    """One client's two sides, as a look at them needs them."""

    client: Client
    toga2: Toga2Client
    togadesk: TogadeskStore


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at one side found.

    Attributes:
        has_news: Whether there is something past what was seen.
        upto: How far has been seen once a run was asked for; what was seen before, where there is no
            news.
    """

    has_news: bool
    upto: datetime


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one client.

    Attributes:
        news: Direction -> why it is worth a run, for people.
        since: Direction -> the watermark from which a person wants it synced again.
        seen: Direction -> the cursor's new value, once a run was asked for where that is worth it.
        is_first: Whether some direction has never been synced: such a run takes long.
        remarks: What a person should know of what they have set.
    """

    news: Mapping[str, str] = field(default_factory=dict)
    since: Mapping[str, datetime] = field(default_factory=dict)
    seen: Mapping[str, datetime] = field(default_factory=dict)
    is_first: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def is_worth_a_run(self) -> bool:
        """Whether there is anything to ask a run for."""
        return bool(self.news)


def probe(
    systems: ProbedSystems, cursor: Mapping[str, datetime], left: Mapping[str, datetime]
) -> Finding:
    """Look at both sides of a client; a direction that is switched off is not looked at.

    Args:
        systems: The client's.
        cursor: Direction -> how far was seen; one that is missing goes by its stored watermark.
        left: Direction -> what the cursor was left at when it was last written: an earlier cursor was set
            back by a person, who wants it synced again from there.

    Raises:
        TransientError, PermanentError, SystemicError: A side gave no answer; nothing was moved.
    """
    on = [direction for direction in DIRECTIONS if getattr(systems.client.flows, direction)]
    stored: dict[str, datetime] = {}
    if any(direction not in cursor or direction not in left for direction in on):
        watermarks = Watermarks(systems.toga2)
        stored = {direction: watermarks.get(DIRECTIONS[direction]) for direction in on}
    news: dict[str, str] = {}
    since: dict[str, datetime] = {}
    seen = dict(cursor)
    remarks: list[str] = []
    for direction in on:
        before = cursor[direction] if direction in cursor else stored[direction]
        reached = left[direction] if direction in left else stored[direction]
        look = LOOKS[direction](systems, before)
        seen[direction] = look.upto
        if look.has_news:
            news[direction] = f"{SIDES[direction]} has changes after {wire.format_time(before)}"
        if direction not in cursor:
            continue
        if before < reached:
            # also where nothing is news: who sets it back wants all behind it synced again
            since[direction] = before
            news[direction] = f"the cursor was set back from {wire.format_time(reached)}"
            seen[direction] = max(look.upto, reached)
        elif before > reached and direction in left:
            remarks.append(
                f"{direction}: the cursor was set forward from {wire.format_time(reached)} to "
                f"{wire.format_time(before)}; what lies between asks for no run, but the stored "
                "watermark is where it was, and the next run carries it all the same"
            )
    is_first = any(stored.get(direction) == BEGINNING for direction in news)
    return Finding(news, since, seen, is_first, tuple(remarks))


def look_at_toga2(systems: ProbedSystems, seen: datetime) -> Look:
    """Look for tickets and notes that changed after ``seen``."""
    routes = TICKET_ROUTES[systems.client.toga2.integration_type]
    for resource in (routes.tickets, routes.notes):
        oldest, answered = systems.toga2.oldest_after(resource, seen)
        if oldest is None:
            continue
        # a run that begins later reads all that had changed when TOGA 2 answered, not the oldest alone
        upto = oldest if answered is None else max(oldest, answered - _STILL_OPEN)
        return Look(has_news=True, upto=upto)
    return Look(has_news=False, upto=seen)


def look_at_helpdesk(systems: ProbedSystems, seen: datetime) -> Look:
    """Look for what people have typed after ``seen`` and TOGA 2 does not have.

    What has only just been typed does not count yet: a run would leave it for the next one, because its
    files may be on their way. What has a time in the future is left to the schedule.
    """
    store, client = systems.togadesk, systems.client
    bound = store.local_lower_bound(seen + _SECOND)
    departments = client.monitored_department_ids
    unsent = store.run(lambda tx: tx.unsent(departments, bound))
    settle = max(timedelta(seconds=client.togadesk.settle_seconds), _SECOND)
    settled = unsent.now - settle
    if unsent.oldest is None or unsent.newest is None or store.from_local(unsent.oldest) > settled:
        return Look(has_news=False, upto=seen)
    return Look(has_news=True, upto=max(seen, min(store.from_local(unsent.newest), settled)))


#: Direction -> how to look at where it comes from, and what that is called.
LOOKS: Mapping[str, Callable[[ProbedSystems, datetime], Look]] = {
    "toga2_to_togadesk": look_at_toga2,
    "togadesk_to_toga2": look_at_helpdesk,
}
SIDES: Mapping[str, str] = {"toga2_to_togadesk": "TOGA 2", "togadesk_to_toga2": "the helpdesk"}
