"""Why a difference is none by itself: the next run carries it, or a dead letter stands for it.

What does not belong here: what is due (``due``), what differs (``judging``, ``unsent``).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from elite_pipeline.ledger import DeadLetter
from elite_pipeline.ledger.dead_letter import fitted
from elite_pipeline.sync.context import FlowContext
from elite_pipeline.sync.ticket_writing import outgoing_letters
from elite_pipeline.sync.verify.findings import Finding, Reason

#: What a run that is due, or a dead letter, can be the reason of. What is doubled stays so, and what
#: customers can see that they must not is said in any case.
_EXPLAINABLE = frozenset({Reason.MISSING, Reason.DIFFERENT, Reason.NOT_COMPARABLE})


class LettersOf:
    """The dead letters of one flow of one client.

    Where there are none when it begins, none is asked for: what fails meanwhile is another run's.
    """

    def __init__(self, context: FlowContext, flow: str) -> None:
        self._ledger = context.ledger
        self._flow = flow
        self._has_any = context.ledger.dead_letters.has_any(flow)

    def among(self, entities: Collection[str]) -> Mapping[str, Sequence[DeadLetter]]:
        """Return the letters of those entities that have any."""
        if not self._has_any:
            return {}
        return self._ledger.dead_letters.among(self._flow, entities)

    def of_tickets(self, ids: Sequence[int]) -> Mapping[int, Sequence[DeadLetter]]:
        """Return the letters of the way out, by the ids of tickets."""
        return outgoing_letters(self._ledger, ids) if self._has_any else {}


def not_yet_due(finding: Finding) -> Finding:
    """Return a finding as one that the next run takes care of."""
    if finding.reason not in _EXPLAINABLE:
        return finding
    return replace(finding, reason=Reason.NOT_YET_DUE, otherwise=finding.reason)


def dead_letter(finding: Finding, letter: DeadLetter) -> Finding:
    """Return a finding as one that a dead letter stands for."""
    if finding.reason not in _EXPLAINABLE:
        return finding
    state = "parked" if letter.parked else "waiting"
    said = f"dead letter {letter.id[:12]} ({state})"
    # who refused to write it may have refused to compare it, in the same words
    detail = f"{finding.detail}; {said}"
    if letter.error != finding.detail:
        detail += f": {letter.error}"
    return replace(finding, reason=Reason.DEAD_LETTER, otherwise=finding.reason, detail=detail)


def letter_for(letters: Iterable[DeadLetter], called: Collection[str]) -> DeadLetter | None:
    """Return the dead letter that stands for something.

    Args:
        letters: Of the entity that it belongs to; a letter of all of it stands for every part.
        called: What the flow may call it.
    """
    names = {fitted(name) for name in called}
    for letter in letters:
        if letter.record in names or letter.record == letter.entity:
            return letter
    return None


def holding(letters: Sequence[DeadLetter]) -> DeadLetter | None:
    """Return the letter of a ticket that holds up what stands behind it (``outgoing_sender``)."""
    return next(
        (letter for letter in letters if letter.kind == "transient" and not letter.parked), None
    )
