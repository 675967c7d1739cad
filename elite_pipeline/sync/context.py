"""What a flow works with, all of it from outside: how it was asked to read, the systems, the ledger.

What does not belong here: the bookkeeping of one run (``flow_run``), and what becomes of what fails
(``run_letters``).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.ledger import Ledger
from elite_pipeline.sync.results import RecordFailure
from elite_pipeline.sync.watermarks import BEGINNING, Watermarks
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import TogadeskStore, Uploads

if TYPE_CHECKING:
    # loaded by the flow that needs it alone
    from elite_pipeline.sync.freshservice_side import FreshserviceSide


@dataclass(frozen=True, slots=True)
class Options:
    """How a run was asked to read.

    Attributes:
        since: Start from this watermark instead of the stored one; aware.
        full: Ignore every watermark and compare all there is.
        sweeps: Also ask Freshservice what no webhook told; of that flow alone.
        rows_up_to: The newest row of the inbox that counts; None: all that there are.
        shows_watermark: Look at the stored watermark also where ``since`` makes it needless, for the
            result to show it: one call more, shared by all flows of a run.
        dry_run: Read everything, write nothing anywhere, and say what would be written.
    """

    since: datetime | None = None
    full: bool = False
    shows_watermark: bool = False
    sweeps: bool = True
    rows_up_to: int | None = None
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.full and self.since is not None:
            raise ConfigurationError(
                "'since' and 'full' exclude each other: choose a watermark to start from, "
                "or compare everything."
            )
        if self.since is not None and self.since.tzinfo is None:
            raise ConfigurationError("'since' needs a time zone: e.g. 2026-06-10 00:00:00 in UTC.")


def parse_since(text: str | None) -> datetime | None:
    """Return a watermark that a person chose, as an aware instant; without an offset it is UTC.

    Raises:
        ConfigurationError: It is not a time.
    """
    if text is None or not text.strip():
        return None
    try:
        given = datetime.fromisoformat(text.strip())
        moment = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"since: {text[:40]!r} is not a time. Write it as '2026-06-10 00:00:00' (UTC) or with an "
            "offset, as '2026-06-10T00:00:00-05:00'. Nothing was done."
        ) from None
    # nothing is older than the default watermark, and the overlap must not leave the calendar
    return max(moment, BEGINNING)


def _wall_clock() -> datetime:
    return datetime.now(UTC)


def _ignore_progress(_: str) -> None:
    pass


def _ignore_flow(_: str) -> None:
    pass


def _no_remarks() -> Sequence[str]:
    return ()


def _nothing_lost() -> int:
    return 0


def _no_freshservice() -> "FreshserviceSide":
    raise ConfigurationError(
        "This client has no freshservice section in the registry. Add one, or switch "
        "flows.freshservice_to_toga2 off."
    )


def ignore_failure(_flow: str, _failure: RecordFailure, _error: Exception) -> None:
    """Report a failure to nobody."""


@dataclass(slots=True)
class FlowContext:
    """One client's systems, as the flows of one run share them.

    Attributes:
        find_uploads: Gives the helpdesk's folder of files; asked by the flows that need it.
        progress: Told, now and then, in a sentence how far a long run has got.
        report: Told of a record that failed, when that is news (the first time, and when it is parked):
            flow, failure, and the error itself.
        began: Told of every flow that begins, by its name.
        remarks: Asked at a flow's end for what an operator should know of what goes on beside it.
        log_lost: Asked at a flow's end how many calls were found missing in the call log since it was
            asked before.
        run_id: What the run is called by whoever started it; None: nothing.
        who: How people know the run, when another one finds the flow's lock held.
        find_freshservice: Gives the client's Freshservice account and the inbox of its webhooks.
        clock: Seconds, monotonic.
        now: The time of day, aware: when dead letters are due. No watermark goes by it.
        sleep: Waits so many seconds.
    """

    client: Client
    toga2: Toga2Client
    togadesk: TogadeskStore
    find_uploads: Callable[[], Uploads]
    ledger: Ledger
    watermarks: Watermarks
    progress: Callable[[str], None] = _ignore_progress
    report: Callable[[str, RecordFailure, Exception], None] = ignore_failure
    began: Callable[[str], None] = _ignore_flow
    remarks: Callable[[], Sequence[str]] = _no_remarks
    log_lost: Callable[[], int] = _nothing_lost
    run_id: str | None = None
    who: str = "another run"
    find_freshservice: "Callable[[], FreshserviceSide]" = _no_freshservice
    clock: Callable[[], float] = field(default=time.perf_counter)
    now: Callable[[], datetime] = field(default=_wall_clock)
    sleep: Callable[[float], None] = field(default=time.sleep)

    @property
    def uploads(self) -> Uploads:
        """The helpdesk's folder of files.

        Raises:
            ConfigurationError: No setting says where it is.
        """
        return self.find_uploads()

    @property
    def lag(self) -> timedelta:
        """How far reading goes back behind a watermark."""
        return timedelta(seconds=self.client.toga2.lag_seconds)
