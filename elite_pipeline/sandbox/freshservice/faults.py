"""The faults that only a Freshservice has, and how they change an answer."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import EllipsisType
from typing import Any, Final

from elite_pipeline.sandbox.serving.faults import Action, MalformedRecord
from elite_pipeline.sandbox.serving.own_endpoints import ACTIONS
from elite_pipeline.sandbox.serving.wire import Answer


@dataclass(frozen=True)
class MalformedAttachment(Action):
    """Spoil one attachment in an answer, whatever it hangs on; the store keeps it whole.

    Attributes:
        index: Which one, counted from 0 within the answer (negative from its end).
        changes: What is written over its fields; a value of ``...`` takes the field away.
    """

    index: int = 0
    changes: dict[str, Any] = field(default_factory=lambda: {"id": None})


@dataclass(frozen=True)
class WrongSize(Action):
    """Answer with more or fewer bytes than there are; ``Content-Length`` goes with them.

    Attributes:
        by: How many more, or fewer if it is negative.
    """

    by: int = -1


#: All actions that this sandbox knows, by the words that name them.
FRESHSERVICE_ACTIONS: Final[Mapping[str, type[Action]]] = {
    **ACTIONS,
    "malformed-attachment": MalformedAttachment,
    "wrong-size": WrongSize,
}


def spoiled(action: Action, answer: Answer) -> Answer:
    """Return an answer as an action spoils it; one that has nothing to spoil as it is."""
    if isinstance(action, WrongSize):
        body = answer.body + b"\0" * max(0, action.by)
        return replace(answer, body=body[: action.by] if action.by < 0 else body)
    if not isinstance(action, MalformedRecord | MalformedAttachment) or not answer.body:
        return answer
    document = json.loads(answer.body)
    if isinstance(action, MalformedAttachment):
        found = list(_attachments(document))
    else:
        found = [record for value in document.values() for record in _listed(value)]
    if -len(found) <= action.index < len(found):
        _write_over(found[action.index], action.changes)
    return replace(answer, body=json.dumps(document).encode())


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _attachments(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        for each in value:
            yield from _attachments(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name == "attachments":
                yield from each
            else:
                yield from _attachments(each)


def _write_over(record: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, EllipsisType):
            record.pop(name, None)
        else:
            record[name] = value
