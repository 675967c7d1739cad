"""What the checks look at: all that was found, and one flow of one client in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from elite_pipeline.clients import Client
from elite_pipeline.health.findings import Finding
from elite_pipeline.inbox.rows import Backlog
from elite_pipeline.ledger import Counts, FlowState


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in the ledger and the inbox.

    Attributes:
        now: When, aware.
        states: Client and flow -> what it last did.
        letters: Client and flow -> its dead letters.
        inbox: Action -> what waits in the inbox.
    """

    now: datetime
    states: Mapping[tuple[str, str], FlowState] = field(default_factory=dict)
    letters: Mapping[tuple[str, str], Counts] = field(default_factory=dict)
    inbox: Mapping[str, Backlog] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Watched:
    """One flow of one client, which is on, with all that was found."""

    client: Client
    flow: str
    look: Look

    @property
    def state(self) -> FlowState | None:
        """What it last did; None: it has never run."""
        return self.look.states.get((self.client.name, self.flow))

    @property
    def error(self) -> str | None:
        """Why its last run stopped; None: it came through, or there was none."""
        return self.state.last_error if self.state is not None else None

    @property
    def sync_command(self) -> str:
        """What runs it by hand."""
        return f"elite-pipeline sync {self.client.name} {self.flow}"

    def finding(
        self,
        check: str,
        text: str,
        *,
        passed: bool,
        is_severe: bool,
        numbers: Mapping[str, float] | None = None,
        gauge: float = 0,
        is_told: bool = False,
    ) -> Finding:
        """Return what a check says of it.

        Args:
            check: Its name.
            text: A sentence that goes on from the flow's name.
            passed, is_severe, numbers, gauge, is_told: As in :class:`Finding`.
        """
        return Finding(
            self.client.name,
            self.flow,
            check,
            passed,
            is_severe,
            f"{self.client.name}: {self.flow} {text}",
            numbers or {},
            gauge,
            self.state.last_run if self.state is not None else None,
            is_told=is_told,
        )
