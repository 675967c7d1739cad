"""What a check found: one line, without secrets, that names the thing and says what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from elite_pipeline.errors import PipelineError
from elite_pipeline.terminal_texts import printable

#: ``wrong`` has to be mended, ``warning`` be looked at; ``note`` is a fact that needs nothing done.
State = Literal["ok", "wrong", "warning", "note", "not_looked_at"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: Its name, which stays the same: subject and check, such as ``toga2.clock``.
        state: How it went.
        text: One line for an operator.
    """

    check: str
    state: State
    text: str


class Notes:
    """What is found, in order.

    Args:
        redact: Takes secrets out of every line.

    Attributes:
        findings: What was found so far.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self.redact = redact
        self.findings: list[Finding] = []

    def ok(self, check: str, text: str) -> None:
        """All right."""
        self._add(check, "ok", text)

    def wrong(self, check: str, text: str) -> None:
        """Something has to be mended; a text of several lines is several findings."""
        for line in text.splitlines():
            self._add(check, "wrong", line)

    def warning(self, check: str, text: str) -> None:
        """It works, and is most likely not meant."""
        self._add(check, "warning", text)

    def note(self, check: str, text: str) -> None:
        """A fact that is good to know."""
        self._add(check, "note", text)

    def not_looked_at(self, check: str, why: str) -> None:
        """Another failure is in the way."""
        self._add(check, "not_looked_at", why)

    def guard(self, check: str) -> "Guard":
        """Return what turns an error within a block into a finding."""
        return Guard(self, check)

    def _add(self, check: str, state: State, text: str) -> None:
        # redacted first: a secret that was folded would not be known
        self.findings.append(Finding(check, state, printable(self.redact(text))))


class Guard:
    """Turns an error within a block into a finding: no check takes the others down.

    Attributes:
        is_broken: An error was caught.
    """

    def __init__(self, notes: Notes, check: str) -> None:
        self._notes = notes
        self._check = check
        self.is_broken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.is_broken = True
        if isinstance(error, PipelineError):
            self._notes.wrong(self._check, str(error))
        else:
            self._notes.wrong(
                self._check,
                f"could not be looked at: an unforeseen {type(error).__name__}; this is a defect of the "
                "pipeline, please report it",
            )
        return True
