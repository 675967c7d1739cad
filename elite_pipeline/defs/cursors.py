"""Cursors that people edit: one that is mistyped is refused, and one that is set meanwhile counts.

The daemon writes a tick's cursor over whatever a person has set while the tick was going on, so a tick
looks once more before it ends.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from elite_pipeline.errors import ConfigurationError


class MistypedCursorError(dg.DagsterError):
    """The cursor cannot be understood. Of Dagster's kind, so that the page shows its message first."""


@contextmanager
def refusing_what_is_mistyped() -> Iterator[None]:
    """Fail the tick with the message alone; the cursor stays as it was typed, for whoever typed it."""
    try:
        yield
    except ConfigurationError as error:
        raise MistypedCursorError(str(error)) from None


def cursor_now(instance: dg.DagsterInstance, sensor: str, before: str | None) -> str | None:
    """Return a sensor's cursor as it stands; ``before``, where no daemon keeps one."""
    if instance.schedule_storage is None:
        return before
    # schedules are among them; they have no cursor
    kept = [
        getattr(state.instigator_data, "cursor", None)
        for state in instance.all_instigator_state()
        if state.instigator_name == sensor
    ]
    return kept[0] if len(kept) == 1 else before
