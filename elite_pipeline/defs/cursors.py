"""What Dagster keeps of a sensor's cursor while a tick is going on.

The daemon writes a tick's cursor over whatever a person has set meanwhile, so a tick looks once more
before it ends.
"""

import dagster as dg


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
