"""Watermarks: where a flow has got to, kept as parameters in TOGA 2.

Follows ``spec/sync.md`` section 2: read at the start of a run and written at its end; never moved back
by itself, never by the wall clock, never past a record that is not handled.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Parameter

#: What a watermark that was never written stands for: a full first sync [D].
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

TICKETS = "TOGADESK_LAST_TICKET_INTEGRATION_DATETIME"
CONTACTS = "TOGADESK_LAST_CONTACT_INTEGRATION_DATETIME"
UNITS = "TOGADESK_LAST_UNIT_INTEGRATION_DATETIME"
TEAMS = "TOGADESK_LAST_TICKET_TEAM_INTEGRATION_DATETIME"
PREDEFINED_REPLIES = "TOGADESK_LAST_PREDEFINED_REPLY_INTEGRATION_DATETIME"
CATEGORY_TREES = "TOGADESK_LAST_TICKET_CATEGORY_INTEGRATION_DATETIME"

#: The way back. The names read backwards; they are the real ones [D].
TOGADESK_TICKETS = "TOGA_LAST_TICKET_INTEGRATION_DATETIME"

#: The sweep of Freshservice: the newest ``updated_at`` of its tickets that were looked at.
FRESHSERVICE_TICKETS = "FRESHSERVICE_LAST_TICKET_INTEGRATION_DATETIME"

#: Flow -> the parameter that holds its watermark.
OF_FLOWS: Mapping[str, str] = {
    "contacts": CONTACTS,
    "units": UNITS,
    "teams": TEAMS,
    "predefined_replies": PREDEFINED_REPLIES,
    "category_trees": CATEGORY_TREES,
    "toga2_to_togadesk": TICKETS,
    "togadesk_to_toga2": TOGADESK_TICKETS,
    "freshservice_to_toga2": FRESHSERVICE_TICKETS,
}
ALL = tuple(OF_FLOWS.values())


class Watermarks:
    """The stored watermarks of one client, read together in one call when the first is needed."""

    def __init__(self, toga2: Toga2Client) -> None:
        self._toga2 = toga2
        self._stored: list[Parameter] | None = None
        self._advanced: dict[str, datetime] = {}

    def get(self, name: str) -> datetime:
        """Return a stored watermark, aware, UTC; :data:`BEGINNING` when there is none.

        Raises:
            ConfigurationError: The parameter holds something that is not a time.
        """
        if name in self._advanced:
            return self._advanced[name]
        if self._stored is None:
            self._stored = self._toga2.parameters(ALL)
        # only now: what another one holds is that flow's affair. Two of one name: the earlier one is
        # the safe one, it only costs reading again
        return min(
            (_parse(stored) for stored in self._stored if stored.name == name), default=BEGINNING
        )

    def advance(self, name: str, to: datetime) -> datetime:
        """Store a later watermark and return what is stored then.

        It is read again first: another run may have got further meanwhile, and a watermark never
        moves back by itself. One that a person has set back meanwhile stays where it was set.

        Args:
            name: The parameter.
            to: Aware; a value that the source gave.
        """
        stored = [
            parameter for parameter in self._toga2.parameters([name]) if parameter.name == name
        ]
        reached = [_parse(parameter) for parameter in stored]
        if min(reached, default=BEGINNING) < self.get(name):
            to = min(reached, default=BEGINNING)
        elif reached and min(reached) >= to:
            to = min(reached)
        elif not stored:
            self._toga2.create(wire.PARAMETERS, {"name": name, "value": wire.format_time(to)})
        else:
            for parameter, moment in zip(stored, reached, strict=True):
                if moment < to:
                    self._toga2.update(
                        wire.PARAMETERS, parameter.uuid, {"value": wire.format_time(to)}
                    )
        self._advanced[name] = to
        return to

    def put(self, name: str, to: datetime) -> None:
        """Store a watermark that a person chose, whatever is stored, be it no time at all.

        Args:
            name: The parameter.
            to: Aware.

        Raises:
            TransientError, PermanentError, SystemicError: As the transport says.
        """
        value = {"value": wire.format_time(to)}
        stored = [one for one in self._toga2.parameters([name]) if one.name == name]
        for parameter in stored:
            # two of one name: the earlier one counts, so none may stay behind
            self._toga2.update(wire.PARAMETERS, parameter.uuid, value)
        if not stored:
            self._toga2.create(wire.PARAMETERS, {"name": name, **value})
        self._stored = None
        self._advanced.pop(name, None)


def _parse(parameter: Parameter) -> datetime:
    try:
        return wire.parse_time((parameter.value or "").strip())
    except ValueError:
        raise ConfigurationError(
            f"TOGA 2: the parameter {parameter.name} ({parameter.uuid}) is not a time. "
            "Set its value to YYYY-MM-DD HH:MM:SS in UTC; nothing was moved."
        ) from None


class Progress:
    """How far a run has handled what it reads, in the order of its times.

    What failed is handled as well, once it is a dead letter.

    Attributes:
        limit: When the source began to answer this run, by its own clock. What was changed later may
            have neighbours that were committed behind the reader's back: such a record counts for a
            later run, however long this one takes.
    """

    def __init__(self) -> None:
        self.limit: datetime | None = None
        self._reached: datetime | None = None

    @property
    def reached(self) -> datetime | None:
        """The newest time up to which everything is handled; None: nothing is."""
        return self._reached

    def add(self, handled: Iterable[datetime]) -> None:
        """Take in the times of one batch, which stands behind all batches before it."""
        moments = [*handled]
        newest = max(moments, default=None)
        if newest is not None and self.limit is not None and newest > self.limit:
            newest = max((moment for moment in moments if moment <= self.limit), default=None)
        if newest is not None and (self._reached is None or newest > self._reached):
            self._reached = newest
