"""A dry run's plan as the rows of two tables: how many of each kind, and field by field.

The same for the Dagster page and for the command line. What does not belong here: how either is drawn.
"""

from collections.abc import Iterator
from typing import Final

from elite_pipeline.planning import Effect, FieldChange, Plan

COUNT_COLUMNS: Final = ("system", "what", "action", "number")
DETAIL_COLUMNS: Final = ("system", "what", "action", "record", "field", "now", "then")

#: Of each kind so many effects are shown before there is room for more of any.
_OF_EACH: Final = 5


def counts(plan: Plan) -> list[dict[str, str]]:
    """Return a row for each kind of effect, with how many there are."""
    return [
        {
            "system": kind.system,
            "what": kind.what,
            "action": kind.action,
            "number": f"{number:,}",
        }
        for kind, number in sorted(
            plan.counts.items(), key=lambda one: (one[0].system, one[0].what, one[0].action)
        )
    ]


def details(plan: Plan, most: int) -> tuple[list[dict[str, str]], int]:
    """Return a row for each field of each effect, in the order of the effects.

    Args:
        plan: The plan.
        most: Rows, about; an effect is shown whole or not at all.

    Returns:
        The rows, and how many effects are not among them.
    """
    chosen = _chosen(plan, most)
    rows = [row for place in sorted(chosen) for row in _rows(plan.effects[place])]
    return rows, plan.total - len(chosen)


def _chosen(plan: Plan, most: int) -> set[int]:
    """Return which effects are shown: the first ones, and some of every kind."""
    seen: dict[object, int] = {}
    firsts: list[int] = []
    others: list[int] = []
    for place, effect in enumerate(plan.effects):
        seen[effect.kind] = seen.get(effect.kind, 0) + 1
        (firsts if seen[effect.kind] <= _OF_EACH else others).append(place)
    chosen: set[int] = set()
    used = 0
    for place in (*firsts, *others):
        size = max(len(plan.effects[place].fields), 1)
        if chosen and used + size > most:
            break
        chosen.add(place)
        used += size
    return chosen


def _rows(effect: Effect) -> Iterator[dict[str, str]]:
    for one in effect.fields or (FieldChange("", None, None),):
        yield {
            "system": effect.kind.system,
            "what": effect.kind.what,
            "action": effect.kind.action,
            "record": effect.record,
            "field": one.name,
            "now": one.old if one.old is not None else "",
            "then": one.new if one.new is not None else "",
        }
