"""One client's TOGA 2: who we are there, its clock, and each route that the client's flows read.

Only small reads: one page of parameters, and one record of each list.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from elite_pipeline.clients import Client
from elite_pipeline.doctor.findings import Notes
from elite_pipeline.doctor.needs import WITH_OWN_FIELDS, flows_on, routes_of
from elite_pipeline.doctor.variables import said_of
from elite_pipeline.errors import PipelineError
from elite_pipeline.settings import Settings
from elite_pipeline.sync import watermarks
from elite_pipeline.sync.own_keys import note_field
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.toga2.models import Parameter
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline.toga2_access import open_toga2
from elite_pipeline.transport import Exchange, parse_http_date

#: By so much clocks may differ: a header has whole seconds, and an answer takes its time.
_MOST_SKEW = timedelta(seconds=30)
#: What no note is known by.
_NOBODY = "elite-pipeline:doctor"
_CHECKS = ("toga2.clock", "toga2.watermarks", "toga2.routes", "toga2.own_field")


class _Last:
    """The latest answer."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.date: datetime | None = None

    def __call__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        headers = {name.lower(): value for name, value in exchange.response_headers.items()}
        self.date = parse_http_date(headers.get("date"))


def look_at_toga2(
    notes: Notes, settings: Settings, client: Client, now: Callable[[], datetime]
) -> None:
    """Look at a client's TOGA 2.

    Args:
        notes: Where findings go.
        settings: How it is reached.
        client: Whose it is.
        now: The time here, aware.
    """
    with notes.guard("toga2.credentials") as guard:
        settings.toga2_credentials(client)
        names = tuple(f"{client.environment_prefix}_TOGA2_API_{part}" for part in ("KEY", "SECRET"))
        notes.ok("toga2.credentials", said_of(*names))
    if guard.is_broken:
        _leave(notes, "toga2.answers", *_CHECKS, why="without credentials")
        return
    last = _Last()
    with (
        notes.guard("toga2.answers") as guard,
        open_toga2(settings, client, on_exchange=last) as toga2,
    ):
        stored = toga2.parameters(watermarks.ALL)
        notes.ok("toga2.answers", f"{settings.toga2_url} takes the client's credentials")
        _look_at_clock(notes, last.date, now())
        _look_at_watermarks(notes, client, stored)
    if guard.is_broken:
        _leave(notes, *_CHECKS, why="TOGA 2 did not answer")
        return
    with (
        notes.guard("toga2.routes"),
        open_toga2(settings, client, page_size=1, on_exchange=last) as toga2,
    ):
        _look_at_routes(notes, client, toga2, last)
        _look_at_own_field(notes, client, toga2, last)


def _leave(notes: Notes, *checks: str, why: str) -> None:
    for check in checks:
        notes.not_looked_at(check, why)


def _look_at_clock(notes: Notes, there: datetime | None, here: datetime) -> None:
    if there is None:
        notes.note("toga2.clock", "TOGA 2's answers carry no date, so clocks cannot be compared")
        return
    skew = here - there
    if abs(skew) <= _MOST_SKEW:
        notes.ok("toga2.clock", "the clock here and TOGA 2's agree")
        return
    seconds = round(abs(skew).total_seconds())
    direction = "ahead of" if skew > timedelta() else "behind"
    notes.warning(
        "toga2.clock",
        f"the clock here is {seconds} s {direction} TOGA 2's: let NTP set it (timedatectl); retries, "
        "lags and the times in logs go by it",
    )


def _look_at_watermarks(notes: Notes, client: Client, stored: list[Parameter]) -> None:
    used = {watermarks.OF_FLOWS[flow] for flow in flows_on(client)}
    is_good = True
    for parameter in stored:
        try:
            wire.parse_time((parameter.value or "").strip())
        except ValueError:
            if parameter.name in used:
                is_good = False
                notes.wrong(
                    "toga2.watermarks",
                    f"the parameter {parameter.name} ({parameter.uuid}) in TOGA 2 is not a time: set its "
                    "value to YYYY-MM-DD HH:MM:SS in UTC",
                )
    if is_good:
        notes.ok("toga2.watermarks", "the stored watermarks are times, or are not there yet")


def _look_at_routes(notes: Notes, client: Client, toga2: Toga2Client, last: _Last) -> None:
    routes = routes_of(client)
    good: list[str] = []
    for resource in routes:
        try:
            next(toga2.pages(resource), None)
        except PipelineError as error:
            notes.wrong("toga2.routes", _said(resource, client, error, last))
        else:
            good.append(f"/{resource.route}")
    if not routes:
        notes.note("toga2.routes", "no flow is switched on, so nothing is read")
    elif good:
        notes.ok("toga2.routes", f"{', '.join(good)}: readable")


def _look_at_own_field(notes: Notes, client: Client, toga2: Toga2Client, last: _Last) -> None:
    if not WITH_OWN_FIELDS.intersection(flows_on(client)):
        return
    field = note_field(client.custom_field_prefix)
    resource = TICKET_ROUTES[client.toga2.integration_type].notes
    try:
        found = toga2.find(resource, [(field, "=", _NOBODY)])
    except PipelineError as error:
        if last.status in {400, 422}:
            notes.wrong(
                "toga2.own_field",
                f"TOGA 2 does not know {field} on /{resource.route}: correct custom_field_prefix in the "
                f"registry, or have the field made in TOGA 2 ({error})",
            )
        elif last.status not in {403, 404}:  # the route itself, and said there
            notes.wrong("toga2.own_field", str(error))
        return
    if found:
        notes.wrong(
            "toga2.own_field",
            f"TOGA 2 ignores a filter on {field} of /{resource.route}, so that notes cannot be told "
            "apart: correct custom_field_prefix in the registry, or have the field made in TOGA 2",
        )
    else:
        notes.ok("toga2.own_field", f"notes can be looked up by {field}")


def _said(resource: wire.Resource, client: Client, error: PipelineError, last: _Last) -> str:
    if last.status == 403:
        return (
            f"/{resource.route}: refused (403), though the credentials are good: have TOGA 2 let this "
            "client's API key read it"
        )
    if last.status == 404:
        pair = TICKET_ROUTES[client.toga2.integration_type]
        is_of_pair = resource in (pair.tickets, pair.notes)
        cause = (
            f"is {client.toga2.integration_type} really its toga2.integration_type"
            if is_of_pair
            else "does its TOGA 2 have that module"
        )
        return f"/{resource.route}: TOGA 2 has no such route for this client (404): {cause}?"
    return f"/{resource.route}: {error}"
