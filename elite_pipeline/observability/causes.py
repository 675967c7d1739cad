"""Thousands of records that fail for one reason are one message, not thousands.

The first record of each cause is told at once, so that nothing is lost when the process is killed; the
others are counted, and told together at the end, with as many names as people read. So one run sends two
events a cause at most, and its causes are bounded as well.

What does not belong here: what is told of a failure (``events``), and how it is sent (``sentry``).
"""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]

#: Causes of one flow that are told apart; what fails for further ones is told together.
MOST_CAUSES = 20
#: Names that the message at the end gives, and their characters altogether.
MOST_NAMES = 50
MOST_NAME_CHARS = 4_000

_ELSEWHERE = "(other causes)"

#: What differs from record to record in a message: what is quoted, addresses, ids and numbers.
_PARTICULARS = re.compile(
    r"'[^']*'|\"[^\"]*\"|«[^»]*»|\S+@\S+|\b[0-9a-fA-F]{8}[0-9a-fA-F-]*\b|\d+(?:[.,:]\d+)*"
)


@dataclass(slots=True)
class _Group:
    """What failed for one cause.

    Attributes:
        event: What was told of the first record.
        others: How many more there were.
        names: What the first of these are called.
    """

    event: Event
    others: int = 0
    names: list[str] = field(default_factory=list)


def cause_of(event: Event) -> tuple[str, ...]:
    """Return what tells one cause from another: kinds of errors, their words, and where it happened."""
    values = event["exception"]["values"]
    frames = values[-1].get("stacktrace", {}).get("frames", [])
    return (
        *(f"{value['type']}: {_PARTICULARS.sub('*', value['value'])}" for value in values),
        f"{frames[-1]['module']}.{frames[-1]['function']}" if frames else "",
    )


class Causes:
    """The failures of records that one process has met. Safe to use from several threads.

    Args:
        send: Sends an event.
    """

    def __init__(self, send: Callable[[Event], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._groups: dict[tuple[str, ...], _Group] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, event: Event, tags: Mapping[str, str]) -> None:
        """Tell of a record that failed, or count it to what was told of its cause.

        Args:
            event: What would be told of it.
            tags: Where it happened: ``client``, ``flow``, ``state``, and ``record``.
        """
        place = tuple(tags.get(name, "") for name in ("client", "flow", "state"))
        key = (*place, *cause_of(event))
        with self._lock:
            if key not in self._groups and self._counts.get(place, 0) >= MOST_CAUSES:
                key = (*place, _ELSEWHERE)
            group = self._groups.get(key)
            if group is None:
                self._groups[key] = _Group(event)
                self._counts[place] = self._counts.get(place, 0) + 1
            else:
                group.others += 1
                if len(group.names) < MOST_NAMES:
                    group.names.append(event["tags"].get("record", ""))
        if group is None:
            # a copy: whoever sends it writes into it
            self._send(dict(event))

    def close(self) -> None:
        """Tell, cause by cause, how many more records there were and what the first are called."""
        with self._lock:
            groups, self._groups, self._counts = list(self._groups.values()), {}, {}
        for group in groups:
            if group.others:
                self._send(_summary(group))


def _summary(group: _Group) -> Event:
    first = group.event["tags"].get("record", "")
    names = ", ".join(group.names)[:MOST_NAME_CHARS]
    unnamed = group.others - len(group.names)
    tags = {name: value for name, value in group.event["tags"].items() if name != "record"}
    return {
        **{name: value for name, value in group.event.items() if name != "event_id"},
        "tags": {**tags, "further records": str(group.others)},
        "extra": {
            "first record": first,
            "further records": names + (f", and {unnamed} more" if unnamed else ""),
        },
    }
