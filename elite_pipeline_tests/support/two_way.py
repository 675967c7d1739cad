"""One exchange in both directions with every kind of effect.

First comes an earlier state, in which both sides agree; then people edit on both sides. It can be put
back to right after those edits, as often as a test likes. What comes of it: ``end_states``.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from elite_pipeline.errors import PipelineError
from elite_pipeline.sandbox.serving.clock import utc_now
from elite_pipeline.sync.context import Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.results import FlowResult
from elite_pipeline_tests.support.child_runs import FLOWS, Run, one_at_a_time
from elite_pipeline_tests.support.note_files import attach
from elite_pipeline_tests.support.snapshots import Snapshot
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk
from elite_pipeline_tests.support.typing import Typist

#: The other direction first.
BACKWARDS = ("contacts", "togadesk_to_toga2", "toga2_to_togadesk")
#: What the sync writes of the helpdesk here.
TABLES = ("people", "tickets", "tickets_replies", "comments", "tickets_history", "files")


@dataclass
class TwoWay:
    """The exchange, on systems of a test."""

    systems: Systems
    folder: Path

    def __post_init__(self) -> None:
        # a watermark does not enter the second in which its list was read: else the quiet would come
        # when that is over
        self.systems.toga2_store.clock = lambda: utc_now() - timedelta(minutes=5)
        clients = self.systems.clients
        clients["elite"] = one_at_a_time(clients["elite"])

    @property
    def run(self) -> Run:
        """The run under test, for a process of its own."""
        systems = self.systems
        return Run(
            base_url=systems.toga2.base_url,
            helpdesk_url=systems.helpdesk.url,
            ledger_url=systems.ledger_url,
            uploads_dir=systems.uploads_dir,
            diary=self.folder / "diary",
            commits=systems.helpdesk.shape == "modern",
        )

    def prepare(self) -> None:
        """Make the earlier state, and the edits that the run under test is about."""
        desk, typist = Desk(self.systems), Typist(self.systems)
        ada = desk.contact("ada@example.com")
        old = desk.ticket("Printer", contact={"uuid": ada})
        note = desk.note(old, "<p>See the plan</p>")
        attach(desk, note, "plan.png", b"plan")
        for _ in range(2):
            for flow in FLOWS:
                self.systems.sync(flow)

        bob = desk.contact("bob@example.com", first="Bob", last="Babbage")
        new = desk.ticket("Monitor", 20, contact={"uuid": bob})
        attach(desk, desk.note(new, "<p>A picture</p>", 21), content=b"picture", minute=21)
        secret = desk.note(new, "<p>Secret</p>", 22, isExternal=False)
        attach(desk, secret, "salary.png", b"salary", minute=22)
        desk.note(new, "<p>" + "long \u20ac " * 12_000 + "</p>", 23)
        desk.change(desk.notes_route, note, 24, isExternal=False)
        ticket, description = typist.ticket("Scanner", "<p>It hums</p>")
        typist.upload(description, "hum.txt", b"hum")
        reply = typist.reply(ticket, "<p>Two pictures</p>")
        typist.upload(reply, "image001.png", b"first")
        typist.upload(reply, "image001.png", b"second")
        typist.comment(ticket, "<p>Between us</p>")
        typist.reply(1, "<p>Is it plugged in?</p>", status="Answered")
        self._snapshot.take_down()

    # Putting back

    @property
    def _snapshot(self) -> Snapshot:
        return Snapshot(self.systems, self.folder, TABLES)

    def put_back(self) -> None:
        """Put everything back to where the run under test begins."""
        self._snapshot.put_back()

    # Running

    def run_here(self, flows: Iterable[str] = FLOWS) -> list[FlowResult]:
        """Run flows in this process."""
        with self.systems.open() as context:
            return [run_flow(flow, context, Options()) for flow in flows]

    def run_against_faults(self) -> None:
        """Run all flows, whatever stops some of them; an answer is not waited for long."""
        for flow in FLOWS:
            with self.systems.open(read_timeout=0.5) as context, suppress(PipelineError):
                run_flow(flow, context, Options())

    def recover(self, first: Sequence[str] = FLOWS) -> list[str]:
        """Run until quiet; return what is wrong with the quiet.

        Args:
            first: The flows of the first run, in their order.
        """
        for number, flows in enumerate((first, FLOWS), start=1):
            # what failed is due again
            self.systems.later = timedelta(days=number)
            self.run_here(flows)
        self.systems.later = timedelta(days=3)
        self.systems.toga2.reset_stats()
        wrong = []
        for result in self.run_here():
            if result.sql_writes or result.failed or result.waiting:
                wrong.append(f"one more run wrote into the helpdesk, or failed: {result}")
            if result.watermark_before != result.watermark_after:
                wrong.append(f"one more run moved the watermark: {result}")
            if result.dead_letters.waiting or result.dead_letters.parked:
                wrong.append(f"dead letters: {result}")
        writes = [one for one in self.systems.toga2.requests if one.method != "GET"]
        if writes:
            wrong.append(f"one more run wrote into TOGA 2: {writes}")
        return wrong
