"""The cursor of the sensor over both sides: readable JSON, ``{client: {direction: watermark}}``.

``spec/sync.md`` section 2. A watermark that has been *seen* says how far a side was looked at; the
truth about what has been synced stays in TOGA 2's parameters. People edit this text, so whatever they
mistype is one message that says what to write, and nothing moves.

What does not belong here: looking (``probe``), and where the text is kept (``defs``).
"""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sync import watermarks
from elite_pipeline.toga2 import wire

#: Direction, which is the name of its flow -> the parameter that holds its stored watermark.
DIRECTIONS: Mapping[str, str] = {
    "toga2_to_togadesk": watermarks.TICKETS,
    "togadesk_to_toga2": watermarks.TOGADESK_TICKETS,
}
#: Client -> direction -> how far that side was looked at, aware, UTC.
Seen = Mapping[str, Mapping[str, datetime]]

#: Clocks of other machines may be ahead of ours; a year that was mistyped is further.
_AHEAD = timedelta(days=1)
_EXAMPLE = '{"elite": {"toga2_to_togadesk": "2026-06-10 00:00:00"}}'
_LONGEST_QUOTED = 60


def parse_seen(
    text: str | None, *, clients: Collection[str], known: Collection[str], now: datetime
) -> dict[str, dict[str, datetime]]:
    """Return what a cursor says; none at all, where there is none yet.

    Args:
        text: The cursor.
        clients: The registry's.
        known: Clients that were in a cursor before: one that has left the registry is left out, and is
            no mistake.
        now: Aware.

    Raises:
        ConfigurationError: Somebody has mistyped it; the message says what, and what to write.
    """
    if text is None or not text.strip():
        return {}
    try:
        document = json.loads(text, object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError) as error:
        raise _mistake(f"it is not valid JSON ({_reason(error)})") from None
    if not isinstance(document, dict):
        raise _mistake("it is not an object of clients")
    seen: dict[str, dict[str, datetime]] = {}
    for client, directions in document.items():
        if client not in clients:
            if client in known:
                continue
            raise _mistake(
                f"there is no client {_quoted(client)}; there are: {', '.join(clients) or 'none'}"
            )
        if not isinstance(directions, dict):
            raise _mistake(f"{client}: expected an object of directions")
        seen[client] = {
            direction: _moment(client, direction, value, now)
            for direction, value in directions.items()
        }
    return seen


def format_seen(seen: Seen) -> str:
    """Return the cursor, a line for each client."""
    lines = [
        f"{json.dumps(client)}: "
        + json.dumps({name: wire.format_time(at) for name, at in sorted(directions.items())})
        for client, directions in sorted(seen.items())
        if directions
    ]
    return "{" + ",\n ".join(lines) + "}"


def _moment(client: str, direction: str, value: object, now: datetime) -> datetime:
    if direction not in DIRECTIONS:
        raise _mistake(
            f"{client}: there is no direction {_quoted(direction)}; "
            f"there are: {', '.join(DIRECTIONS)}"
        )
    try:
        moment = wire.parse_time(value if isinstance(value, str) else "")
    except ValueError:
        raise _mistake(
            f"{client}, {direction}: {_quoted(value)} is not a time; write it as "
            "YYYY-MM-DD HH:MM:SS, in UTC"
        ) from None
    if moment > now.astimezone(UTC) + _AHEAD:
        raise _mistake(
            f"{client}, {direction}: {wire.format_time(moment)} lies in the future, and nothing "
            "would be looked at until then"
        )
    return max(moment, watermarks.BEGINNING)


def _mistake(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"The cursor of this sensor cannot be used: {what}. It looks like {_EXAMPLE}; a client or a "
        "direction that is left out goes on from its stored watermark, and an empty cursor does so for "
        "all. Nothing was moved, and nothing is asked for until this is mended."
    )


def _quoted(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= _LONGEST_QUOTED else f"{text[:_LONGEST_QUOTED]}…"


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno}, column {error.colno}"
    return str(error) if isinstance(error, ValueError) else "it is nested too deeply"


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what stands twice: which of the two is meant, nobody knows."""
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"{_quoted(key)} stands twice")
        document[key] = value
    return document
