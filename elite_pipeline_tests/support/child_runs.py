"""Runs of the flows in a process of their own, which can be killed at any of its outside effects."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import cast

from elite_pipeline.clients import Client
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.effects import Effects, Point
from elite_pipeline_tests.support.helpdesks import Helpdesk
from elite_pipeline_tests.support.systems import Systems, demo_client

FLOWS = ("contacts", "toga2_to_togadesk", "togadesk_to_toga2")
#: Seconds until a child counts as stuck.
_PATIENCE = 60


@dataclass(frozen=True)
class Run:
    """What a process is to do, in plain values that get there.

    Attributes:
        base_url: Where TOGA 2 is.
        helpdesk_url: With password.
        diary: Where its effects are written down.
        commits: Whether a commit to the helpdesk does anything.
        death: When it kills itself.
    """

    base_url: str
    helpdesk_url: str
    ledger_url: str
    uploads_dir: Path
    diary: Path
    commits: bool
    death: Point | None = None
    flows: Sequence[str] = FLOWS

    def carry_out(self, death: Point | None = None) -> tuple[int | None, list[str]]:
        """Run it in a new process; return its exit code, and the effects that it had or began."""
        self.diary.write_text("", encoding="utf-8")
        process = _context().Process(target=_run, args=(replace(self, death=death),))
        process.start()
        process.join(_PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        return code, self.diary.read_text(encoding="utf-8").splitlines()


@dataclass(frozen=True)
class _Address:
    """A TOGA 2 of another process."""

    base_url: str


@cache
def _context() -> ForkServerContext:
    """Return what makes processes in some ten milliseconds: forks of one that knows all modules."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def one_at_a_time(client: Client) -> Client:
    """Return a client whose calls come one after the other: in the same order in every run."""
    toga2 = client.toga2.model_copy(update={"max_in_flight": 1})
    return client.model_copy(update={"toga2": toga2})


def _run(run: Run) -> None:
    engine = connect(run.helpdesk_url)
    helpdesk = Helpdesk("", engine, run.helpdesk_url, "modern", True, None)
    toga2 = cast("Toga2Sandbox", _Address(run.base_url))
    clients = {"elite": one_at_a_time(demo_client("elite"))}
    systems = Systems(toga2, helpdesk, run.ledger_url, run.uploads_dir, clients=clients)
    Effects(run.diary, run.death, run.ledger_url, run.commits).install()
    for flow in run.flows:
        systems.sync(flow)
