"""What nobody knows the outcome of is waited for by the next run, and by nobody else (decision 15)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import requests

from elite_pipeline.errors import SystemicError, TransientError
from elite_pipeline.ledger.holders import Holders
from elite_pipeline.sandbox.freshservice import MalformedRecord
from elite_pipeline.sandbox.serving.faults import Action
from elite_pipeline.sandbox.toga2 import Delay, Drop, RequestInfo, Status
from elite_pipeline.sync.flows import holding, run_flow
from elite_pipeline_tests.support.service_desk import ServiceDesk
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.typing import Typist
from elite_pipeline_tests.support.waiting import wait_until

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)

OUT = "togadesk_to_toga2"
#: Longer than it takes to kill a run while its call is under way.
HELD_BACK = Delay(5.0)
DEFAULT_SECONDS = 10


class KilledError(BaseException):
    """Ends a run as an interrupt does: no error of its own."""


@pytest.fixture
def naps(systems: Systems) -> list[float]:
    """Note the seconds that runs wait, instead of waiting."""
    noted: list[float] = []
    systems.sleep = noted.append
    return noted


def under_way(systems: Systems) -> int:
    answer = requests.get(f"{systems.toga2.admin_url}/stats", timeout=30)
    return int(answer.json()["in_flight"])


def kill_at_its_post(systems: Systems, sync: Callable[[], object]) -> None:
    """Run a flow in a process of its own, and kill it while TOGA 2 has a POST of it in hand."""
    posted = threading.Event()

    def look(request: RequestInfo) -> None:
        if request.method == "POST" and request.path.endswith("/tickets"):
            posted.set()

    systems.toga2.faults.add(HELD_BACK, method="POST", route="/tickets", times=1)
    systems.toga2.on_request = look
    child = os.fork()
    if child == 0:
        try:
            sync()
        finally:
            os._exit(1)
    try:
        assert posted.wait(30)
    finally:
        systems.toga2.on_request = None
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert under_way(systems) == 1


def until_arrived(systems: Systems, naps: list[float]) -> Callable[[float], None]:
    """Return what waits for a condition in the place of so many seconds."""

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        wait_until(lambda: not under_way(systems), "TOGA 2 is done with what was sent")

    return sleep


def test_a_ticket_that_a_killed_run_had_sent_is_made_once(typist: Typist) -> None:
    naps: list[float] = []
    systems = typist.systems
    systems.sleep = until_arrived(systems, naps)
    typist.ticket("Scanner", "<p>It hums</p>")
    kill_at_its_post(systems, lambda: systems.sync(OUT))

    typist.send()

    (made,) = typist.made()
    assert made["subject"] == "Scanner"
    assert typist.references("tickets") == [made["uuid"]]
    assert naps == [DEFAULT_SECONDS]


def test_a_ticket_of_freshservice_that_a_killed_run_had_sent_is_made_once(
    service_desk: ServiceDesk,
) -> None:
    naps: list[float] = []
    systems = service_desk.systems
    systems.sleep = until_arrived(systems, naps)
    asking = service_desk.account.add_requester("Ada", "Lovelace", "ada@example.com")
    number = service_desk.account.new_ticket("Screen", requester=asking)
    service_desk.hint(number)
    kill_at_its_post(systems, service_desk.sync)

    service_desk.sync()

    assert service_desk.ticket(number)["subject"] == "Screen"
    assert service_desk.keyed_twice() == []
    assert naps == [DEFAULT_SECONDS]


def ignore(_: str) -> None:
    pass


def test_a_ticket_whose_call_was_cut_off_is_not_sent_again_by_the_same_run(
    service_desk: ServiceDesk,
) -> None:
    asking = service_desk.account.add_requester("Ada", "Lovelace", "ada@example.com")
    number = service_desk.account.new_ticket("Screen", requester=asking)
    service_desk.hint(number)
    # carried out, and later than whoever answers for TOGA 2 waits
    service_desk.systems.toga2.faults.add(Status(502), method="POST", route="/tickets")
    service_desk.sandbox.fault(MalformedRecord(0, {"updated_at": "yesterday"}), route="/tickets")

    assert service_desk.sweep().failed == 1

    posts = [
        one
        for one in service_desk.systems.toga2.requests
        if one.method == "POST" and one.path.endswith("/tickets")
    ]
    assert len(posts) == 1


@contextmanager
def killed(systems: Systems, flow: str) -> Iterator[None]:
    """Let a run of a flow be cut off where it stands."""
    with suppress(KilledError), systems.open() as context, holding(context, flow, 0, tell=ignore):
        yield
        raise KilledError


def test_it_is_said_and_waited_for_once(
    systems: Systems, naps: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with killed(systems, OUT):
        pass
    (remark,) = systems.sync(OUT).remarks
    assert remark.startswith(f"waited {DEFAULT_SECONDS} s before anything was sent: another run, ")
    assert f"which began {OUT} at 20" in remark
    assert any(
        text.startswith(f"elite: {OUT}: waiting {DEFAULT_SECONDS} s: ") for text in caplog.messages
    )
    assert systems.sync(OUT).remarks == ()
    assert naps == [DEFAULT_SECONDS]


@pytest.mark.parametrize(
    ("action", "waited"),
    [
        (Status(502), [DEFAULT_SECONDS]),
        (Status(408), [DEFAULT_SECONDS]),
        (Drop(takes_effect=True), [DEFAULT_SECONDS]),
        # these were certainly not carried out
        (Status(422), []),
        (Status(429), []),
    ],
    ids=["by a proxy", "too late for it", "on the way", "refused", "turned away"],
)
def test_a_call_that_was_cut_off_is_waited_for(
    typist: Typist, naps: list[float], action: Action, waited: list[float]
) -> None:
    typist.ticket("Scanner", "<p>It hums</p>")
    typist.systems.toga2.faults.add(action, method="POST", route="/tickets", times=1)
    typist.send()
    typist.systems.toga2.faults.clear()
    typist.systems.later_by(hours=7)
    typist.send()
    assert len(typist.made()) == 1
    assert naps == waited
    typist.send()
    assert naps == waited


def test_calls_that_a_failed_run_gave_up_are_made_once(typist: Typist) -> None:
    # behind a proxy that restarts: all are carried out, and later than the run has ended
    naps: list[float] = []
    systems = typist.systems
    systems.sleep = until_arrived(systems, naps)
    subjects = [f"Ticket {number}" for number in range(12)]
    for subject in subjects:
        typist.ticket(subject, "<p>It hums</p>")
    systems.toga2.faults.add(Delay(2.0), method="POST", route="/tickets", times=len(subjects))
    with systems.open(read_timeout=0.2) as context, pytest.raises(SystemicError):
        run_flow(OUT, context)
    systems.toga2.faults.clear()
    assert under_way(systems) > 0

    systems.later_by(hours=7)
    typist.send()

    assert sorted(one["subject"] for one in typist.made()) == sorted(subjects)
    assert naps == [DEFAULT_SECONDS]


def test_a_lock_that_is_lost_while_it_waits_stops_the_run(typist: Typist) -> None:
    with killed(typist.systems, OUT):
        pass
    typist.ticket("Scanner", "<p>It hums</p>")
    is_lost: list[float] = []

    def still_held() -> None:
        if is_lost:
            raise TransientError("The lock was lost")

    @contextmanager
    def lock(*_: object) -> Iterator[Callable[[], None]]:
        yield still_held

    typist.systems.sleep = is_lost.append
    with typist.systems.open() as context:
        context.togadesk.lock = lock  # type: ignore[method-assign, assignment]
        with pytest.raises(TransientError, match="was lost"):
            run_flow(OUT, context)
    assert typist.made() == []


def test_one_that_is_killed_while_it_waits_leaves_it_to_the_next(
    systems: Systems, naps: list[float]
) -> None:
    with killed(systems, OUT):
        pass

    def die(_: float) -> None:
        raise KilledError

    systems.sleep = die
    with pytest.raises(KilledError):
        systems.sync(OUT)
    systems.sleep = naps.append
    systems.sync(OUT)
    assert naps == [DEFAULT_SECONDS]


def test_behind_runs_that_ended_nobody_waits(systems: Systems, naps: list[float]) -> None:
    systems.sync(OUT)
    with suppress(TransientError), systems.open() as context, holding(context, OUT, 0, tell=ignore):
        raise TransientError("TOGA 2 is away")
    systems.sync(OUT)
    assert naps == []


def test_who_sends_nothing_neither_waits_nor_forgets(systems: Systems, naps: list[float]) -> None:
    with killed(systems, OUT):
        pass
    systems.sync(OUT, dry_run=True)
    with systems.open() as context, holding(context, OUT, 0):
        # as a watermark is set: the message of whoever comes meanwhile names this one
        assert context.ledger.holders.of(OUT) is not None
    assert naps == []
    systems.sync(OUT)
    assert naps == [DEFAULT_SECONDS]


def test_a_flow_that_makes_nothing_in_toga2_waits_for_nothing(
    systems: Systems, naps: list[float]
) -> None:
    with killed(systems, "contacts"):
        pass
    systems.sync("contacts")
    assert naps == []


@pytest.mark.parametrize(("seconds", "waited"), [(0, []), (3, [3])])
def test_how_long_is_the_clients_setting(
    systems: Systems, naps: list[float], seconds: int, waited: list[float]
) -> None:
    entry = systems.clients["elite"]
    toga2 = entry.toga2.model_copy(update={"in_doubt_seconds": seconds})
    systems.clients["elite"] = entry.model_copy(update={"toga2": toga2})
    with killed(systems, OUT):
        pass
    systems.sync(OUT)
    assert naps == waited


def test_an_end_that_cannot_be_written_down_costs_a_wait_and_nothing_more(
    typist: Typist, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    typist.ticket("Scanner", "<p>It hums</p>")

    def fail(*_: object) -> None:
        raise TransientError("the ledger is away")

    with monkeypatch.context() as patched:
        patched.setattr(Holders, "end", fail)
        assert typist.send().created == 1
    typist.send()
    assert naps == [DEFAULT_SECONDS]


def test_whoever_has_lost_the_lock_does_not_end_the_one_who_has_it(systems: Systems) -> None:
    with systems.open() as first, holding(first, OUT, 0):
        # the lock went over: the second wrote its own name
        first.ledger.holders.put(OUT, "the second", first.now())
    with systems.open() as context:
        holder = context.ledger.holders.of(OUT)
        assert holder is not None
        assert holder[0] == "the second"
        run_flow(OUT, context)
        assert context.ledger.holders.of(OUT) is None
