"""Failures to Sentry: with client, flow and record, without secrets, bodies or local variables.

One message per cause: records that fail for one reason are told together (``causes``), and what stops
several flows of a run is told once. Off without ``SENTRY_DSN``; nothing of the SDK is imported then. What
is told is in ``events``.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, cast

from elite_pipeline.errors import PipelineError
from elite_pipeline.observability.causes import Causes, Event, cause_of
from elite_pipeline.observability.events import event_of
from elite_pipeline.settings import Settings
from elite_pipeline.transport.redaction import Redactor

if TYPE_CHECKING:
    from sentry_sdk import Client
    from sentry_sdk.types import Event as SentryEvent
    from sentry_sdk.types import Hint

logger = logging.getLogger(__name__)

#: How long the end of a process waits for what is not sent yet.
FLUSH_SECONDS = 2.0

#: Failures that wait to be sent; what comes while so many wait is dropped, a run never waits for it.
_QUEUE_SIZE = 2000

#: What leaves the house; whatever else the SDK thinks of, now or in a later version, does not.
_SENT = frozenset(
    {
        "event_id",
        "timestamp",
        "level",
        "platform",
        "exception",
        "tags",
        "extra",
        "fingerprint",
        "release",
        "environment",
        "sdk",
    }
)

_MARK = "_reported_of"


class Report:
    """Where failures are told; this one tells nobody. Safe to use from several threads.

    To be closed at the end of what it was opened for: what is on its way, or was only counted, is then
    sent.

    Attributes:
        reaches_somebody: Whether anybody is told.
    """

    reaches_somebody = False

    def __call__(self, error: Exception, tags: Mapping[str, str]) -> None:
        """Tell of a failure; returns at once and raises nothing.

        An error that is told of again, of the same record or of no record, is told once: on its way
        up, it may meet several that would tell of it. So are other errors of the same cause: of records
        as ``causes`` says, of whole runs the first one.

        Args:
            error: What happened.
            tags: Where: ``client``, ``flow``, ``job``, ``record``, ``run``, ``kind``, ``state``, as far
                as they apply.
        """
        told = error.__dict__.setdefault(_MARK, set())
        record = tags.get("record")
        key = (tags.get("flow"), record, tags.get("state")) if record else None
        if key in told:
            return
        told.add(key)
        try:
            self._send(error, tags)
        except Exception:
            # where failures are reported must not become one itself
            logger.exception("a failure could not be reported")

    def record_failed(
        self,
        error: Exception,
        *,
        client: str,
        flow: str,
        record: str,
        kind: str,
        parked: bool = False,
    ) -> None:
        """Tell of a record that failed; to be called when it is news (``Recorded.is_news``).

        Args:
            record: What failed.
            kind: Which kind of failure it is.
            parked: Whether no run tries it any more.
        """
        state = "parked" if parked else "failed"
        self(
            error,
            {"client": client, "flow": flow, "record": record, "kind": kind, "state": state},
        )

    @contextmanager
    def run(self, client: str, flow: str = "") -> Iterator[None]:
        """Tell of what stops a run, foreseen or not, and let it pass."""
        try:
            yield
        except Exception as error:
            kind = error.kind if isinstance(error, PipelineError) else "unforeseen"
            self(error, {"client": client, "flow": flow, "kind": kind, "state": "run failed"})
            raise

    def close(self) -> None:
        """Send what is not sent yet, for at most :data:`FLUSH_SECONDS`."""

    def _send(self, error: Exception, tags: Mapping[str, str]) -> None:
        pass


class _SentryReport(Report):
    """Tells Sentry."""

    reaches_somebody = True

    def __init__(self, client: "Client", redact: Redactor) -> None:
        self._client = client
        self._redact = redact
        self._records = Causes(self._capture)
        self._runs: set[tuple[str, ...]] = set()

    def close(self) -> None:
        self._records.close()
        self._client.close(timeout=FLUSH_SECONDS)

    def _send(self, error: Exception, tags: Mapping[str, str]) -> None:
        event = event_of(error, tags, self._redact)
        if tags.get("record"):
            self._records.add(event, tags)
            return
        key = (tags.get("client", ""), tags.get("state", ""), *cause_of(event))
        if key not in self._runs:
            self._runs.add(key)
            self._capture(event)

    def _capture(self, event: Event) -> None:
        self._client.capture_event(cast("SentryEvent", event))


def open_sentry(settings: Settings) -> Report:
    """Return where to report: to Sentry, or to nobody where no ``SENTRY_DSN`` is set.

    Raises:
        ConfigurationError: ``SENTRY_DSN`` is not an address of Sentry's.
    """
    dsn = settings.sentry_address
    if dsn is None:
        return Report()
    # costs a tenth of a second, and most processes do not need it
    import sentry_sdk  # noqa: PLC0415 - see above

    logging.getLogger("urllib3.connectionpool").addFilter(_is_not_about_sending)
    # a client of our own: nothing else in this process finds it, and so nothing else is sent by it
    client = sentry_sdk.Client(
        dsn=dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        # else the machine's name, and what a git command says about the folder that one is in
        server_name="",
        release=_release(),
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        send_client_reports=False,
        enable_backpressure_handling=False,
        auto_session_tracking=False,
        spotlight=False,
        transport_queue_size=_QUEUE_SIZE,
        shutdown_timeout=FLUSH_SECONDS,
        before_send=_only_what_is_meant,
    )
    return _SentryReport(client, Redactor(settings.secret_values()))


def _only_what_is_meant(event: "SentryEvent", _hint: "Hint") -> "SentryEvent":
    return cast("SentryEvent", {name: value for name, value in event.items() if name in _SENT})


def _is_not_about_sending(record: logging.LogRecord) -> bool:
    """Tell whether a warning is about our systems, and not about a Sentry that is not reached."""
    return not (record.threadName or "").startswith("sentry")


def _release() -> str | None:
    try:
        return f"elite-pipeline@{version('elite-pipeline')}"
    except PackageNotFoundError:
        return None
