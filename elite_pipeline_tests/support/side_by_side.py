"""Runs of several clients and directions at the same time, in processes of their own, while people type.

As in production, where every run is a process: what they share are the databases, the folder, TOGA 2 and
the locks. People type by a clock of their own (``BusyHistory``), which the processes take for the
helpdesk server's: what is being typed is young to them, as it would be.

What does not belong here: what people type (``two_way_history``), what must come of it
(``two_way_state``).
"""

import multiprocessing
import random
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import requests

from elite_pipeline.clients import Client
from elite_pipeline.sandbox.toga2 import Toga2Sandbox
from elite_pipeline.togadesk import Tx, connect
from elite_pipeline_tests.support.effects import Effects, Point
from elite_pipeline_tests.support.helpdesks import Helpdesk
from elite_pipeline_tests.support.systems import Systems, demo_client
from elite_pipeline_tests.support.two_way_history import TwoWayHistory
from elite_pipeline_tests.support.waiting import wait_until

if TYPE_CHECKING:
    from ctypes import c_double

#: Calls of one client that are under way at once.
IN_FLIGHT = 8
#: Seconds until a run counts as stuck.
_PATIENCE = 120
#: Seconds between two things that people do.
_PAUSE = 0.01


class BusyHistory(TwoWayHistory):
    """People who type without a break, and nothing of which the end would be unsure.

    Attributes:
        clock: The time at which they type, for other processes: seconds since the epoch.
    """

    def __init__(self, systems: Systems, seed: int) -> None:
        super().__init__(systems, seed)
        self._may_be_silent = self._may_be_odd = False
        self.may_lose = self._may_lose_bytes = False
        self.clock: c_double = context().RawValue("d", self._now.timestamp())

    def type(self) -> None:
        """Do one thing on either side."""
        self.let_pass(self._dice.choice([0, 0, 1, 2]))
        self._edit(meanwhile=True)

    def _file(self) -> tuple[str, bytes]:
        """Return a file, of which a helpdesk of any kind can hold the name."""
        name, content = super()._file()
        return "".join(letter for letter in name if ord(letter) <= 0xFFFF), content

    def let_pass(self, seconds: int) -> None:
        """Let time pass in which nobody types."""
        self._now += timedelta(seconds=seconds)
        self.clock.value = self._now.timestamp()


@dataclass(frozen=True)
class Job:
    """What a process is to do, in plain values that get there.

    Attributes:
        flows: One after the other, each as a run of its own.
        later: How far ahead the clock is by which dead letters are due.
        diary: Where its effects are written down; its last words stand beside it.
        death: When it kills itself.
        commits: Whether a commit to the helpdesk does anything.
    """

    base_url: str
    helpdesk_url: str
    ledger_url: str
    uploads_dir: Path
    client: str
    flows: Sequence[str]
    later: timedelta
    diary: Path
    death: Point | None
    commits: bool

    @property
    def last_words(self) -> Path:
        """Where it writes what made it fail."""
        return self.diary.with_suffix(".failed")


@dataclass
class SideBySide:
    """Runs of a test's systems, all at once.

    Attributes:
        lanes: Client and flows of each process.
        dice: Decides who dies, and when.
    """

    systems: Systems
    folder: Path
    lanes: Sequence[tuple[str, Sequence[str]]]
    dice: random.Random
    _count: int = field(default=0, init=False)

    def run_while(self, history: BusyHistory, *, most: int, mortality: float = 0.0) -> list[str]:
        """Start a process for each lane, and let people type until all are over.

        Args:
            history: The people.
            most: So many things they do at most.
            mortality: How probably a process kills itself at one of its effects.

        Returns:
            What made processes fail that were not to die.
        """
        jobs = [self._job(client, flows, mortality) for client, flows in self.lanes]
        running = [(job, _start(job, history.clock)) for job in jobs]
        for _ in range(most):
            if not any(process.is_alive() for _, process in running):
                break
            history.type()
            wait([process.sentinel for _, process in running], _PAUSE)
        history.diary.append(
            "    side by side: "
            + ", ".join(f"{job.client} {job.flows} {job.death}" for job in jobs)
        )
        problems = [problem for job, process in running for problem in _end(job, process)]
        # what a killed run had sent may still be on its way: no key can be found of that yet
        wait_until(self._is_worked_off, "TOGA 2 is done with what dead runs have sent")
        return problems

    def _is_worked_off(self) -> bool:
        # twice: what was sent before the first question has begun by the second
        answers = [requests.get(f"{self.systems.toga2.admin_url}/stats", timeout=30) for _ in "12"]
        return not any(answer.json()["in_flight"] for answer in answers)

    def _job(self, client: str, flows: Sequence[str], mortality: float) -> Job:
        self._count += 1
        # what failed in a second counts as tried in that second
        self.systems.later_by(seconds=1)
        death = None
        if self.dice.random() < mortality:
            side = self.dice.choice(["before", "after"])
            death = Point(cast("Any", side), self.dice.randint(0, 30))
        return Job(
            base_url=self.systems.toga2.base_url,
            helpdesk_url=self.systems.helpdesk.url,
            ledger_url=self.systems.ledger_url,
            uploads_dir=self.systems.uploads_dir,
            client=client,
            flows=flows,
            later=self.systems.later,
            diary=self.folder / f"job {self._count}.diary",
            death=death,
            commits=self.systems.helpdesk.shape == "modern",
        )


def context() -> ForkServerContext:
    """Return what makes processes in some ten milliseconds: forks of one that knows all modules."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload([__name__])
    return made


def busy(client: Client) -> Client:
    """Return a client with several calls under way."""
    toga2 = client.toga2.model_copy(update={"max_in_flight": IN_FLIGHT})
    return client.model_copy(update={"toga2": toga2})


def _start(job: Job, clock: "c_double") -> BaseProcess:
    process = context().Process(target=_run, args=(job, clock))
    process.start()
    return process


def _end(job: Job, process: BaseProcess) -> Iterator[str]:
    process.join(_PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        yield f"{job.client} {job.flows} was stuck"
    elif process.exitcode > 0:
        yield f"{job.client} {job.flows}: {job.last_words.read_text(encoding='utf-8')}"
    process.close()


@dataclass(frozen=True)
class _Address:
    """A TOGA 2 of another process."""

    base_url: str


def _run(job: Job, clock: "c_double") -> None:
    try:
        _carry_out(job, clock)
    except BaseException:
        job.last_words.write_text(traceback.format_exc(), encoding="utf-8")
        raise


def _carry_out(job: Job, clock: "c_double") -> None:
    engine = connect(job.helpdesk_url)
    helpdesk = Helpdesk("", engine, job.helpdesk_url, "modern", True, None)
    systems = Systems(
        cast("Toga2Sandbox", _Address(job.base_url)),
        helpdesk,
        job.ledger_url,
        job.uploads_dir,
        later=job.later,
        clients={job.client: busy(demo_client(job.client))},
    )
    _replace(Tx, "now", lambda _: datetime.fromtimestamp(int(clock.value), UTC))
    if job.death is not None:
        Effects(job.diary, job.death, job.ledger_url, job.commits).install()
    for flow in job.flows:
        systems.sync(flow, job.client)


def _replace(of: object, name: str, by: object) -> None:
    setattr(of, name, by)
