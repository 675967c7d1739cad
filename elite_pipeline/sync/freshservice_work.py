"""One ticket of Freshservice on its way: what is known of it on both sides, and what became of it.

What does not belong here: doing anything with it (``freshservice_ticket``,
``freshservice_conversations``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.freshservice.models import Ticket
from elite_pipeline.ledger.carried import State
from elite_pipeline.sync.freshservice_files import FilesOutcome, PlacedImage, PlacedText
from elite_pipeline.sync.freshservice_keys import entity_of
from elite_pipeline.sync.outgoing_outcomes import Held
from elite_pipeline.toga2.models import NoteFile


@dataclass(slots=True)
class Outcome:
    """What became of one ticket.

    Attributes:
        label: What a person calls it.
        updated: When Freshservice says that it was changed last, aware; None: it was not read.
        is_new: TOGA 2 had none.
        failures: Records that failed, in their order, and why.
        untried: Records that were left to their dead letters, or not come to.
        counts: What was made, by kind.
        state: What is to be remembered; None: nothing new.
    """

    ticket_id: int
    label: str = ""
    updated: datetime | None = None
    is_new: bool = False
    failures: list[tuple[str, Exception]] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    state: State | None = None

    @property
    def entity(self) -> str:
        """What it is called where it fails."""
        return entity_of(self.ticket_id)

    @property
    def whole_failure(self) -> Exception | None:
        """Why nothing of it could be carried; None: something could."""
        return next((error for name, error in self.failures if name == self.entity), None)

    def count(self, what: str, number: int = 1) -> None:
        """Count things made."""
        if number:
            self.counts[what] = self.counts.get(what, 0) + number

    def take(self, files: FilesOutcome) -> None:
        """Take in what became of some files."""
        self.failures += files.failures
        self.untried += files.untried
        self.count("files created", files.made)


@dataclass(slots=True)
class Note:
    """A note as TOGA 2 has it."""

    uuid: str
    is_external: bool
    body: str
    files: list[NoteFile]


@dataclass(slots=True)
class Remote:
    """A ticket as TOGA 2 has it, with those of its notes that carry a key of ours.

    Attributes:
        unreadable: Likewise, of which not all that is needed can be read; their texts and files do not
            count, and their uuid may be empty.
    """

    uuid: str
    notes: dict[str, Note]
    unreadable: Mapping[str, Note] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """One ticket on its way."""

    ticket: Ticket
    outcome: Outcome
    held: Held
    before: State
    marks: dict[str, object] = field(default_factory=dict)
    images: Sequence[PlacedImage] = ()
    notes: dict[str, object] = field(default_factory=dict)
    description: PlacedText | None = None

    def remember(self) -> None:
        """Take what has been carried so far as what is to be remembered."""
        self.outcome.state = {
            "ticket": self.marks,
            "images": {image.key: image.uuid for image in self.images if image.uuid},
            "notes": {**part(self.before, "notes"), **self.notes},
        }


def part(state: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Return a part of what is remembered; what is not there, or spoilt, is empty."""
    found = state.get(name)
    return found if isinstance(found, dict) else {}


def texts(part: Mapping[str, object]) -> dict[str, str]:
    """Return the texts in a part of what is remembered."""
    return {key: text for key, text in part.items() if isinstance(text, str)}
