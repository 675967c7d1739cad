"""Failures to Sentry: with client, flow and record, without secrets, bodies or local variables.

Off without ``SENTRY_DSN``; nothing of the SDK is imported then.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from elite_pipeline.settings import Settings
from elite_pipeline.transport.redaction import Redactor

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

#: Told of a failure: the error, and tags that say where it happened.
Report = Callable[[Exception, dict[str, str]], None]


def _report_nothing(_error: Exception, _tags: dict[str, str]) -> None:
    pass


def open_sentry(settings: Settings) -> Report:
    """Start reporting, and return how to report.

    A failure of the same kind in the same flow of the same client is one issue in Sentry, whatever
    record it happened to.

    Raises:
        ConfigurationError: ``SENTRY_DSN`` is not an address of Sentry's.
    """
    dsn = settings.sentry_address
    if dsn is None:
        return _report_nothing
    # costs a tenth of a second, and most processes do not need it
    import sentry_sdk  # noqa: PLC0415

    redact = Redactor(settings.secret_values())

    def scrub(event: "Event", _hint: "Hint") -> "Event":
        for exception in event.get("exception", {}).get("values", []):
            if isinstance(exception.get("value"), str):
                exception["value"] = redact(exception["value"])
        return event

    sentry_sdk.init(
        dsn=dsn,
        default_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        before_send=scrub,
    )

    def report(error: Exception, tags: dict[str, str]) -> None:
        with sentry_sdk.new_scope() as scope:
            for name, value in tags.items():
                scope.set_tag(name, value)
            scope.fingerprint = [tags.get("client", ""), tags.get("flow", ""), type(error).__name__]
            scope.capture_exception(error)

    return report
