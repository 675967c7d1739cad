"""One client's Freshservice: its key, its plan, and the secret of its webhooks.

One small call, taken out of the account's budget where that is kept.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime
from urllib.parse import urlsplit

from elite_pipeline.clients import Client
from elite_pipeline.doctor.findings import Notes
from elite_pipeline.doctor.variables import said_of
from elite_pipeline.errors import TransientError
from elite_pipeline.freshservice import wire
from elite_pipeline.freshservice.calls import Calls
from elite_pipeline.freshservice.limits import LIST_TICKETS, PLANS, WINDOW_SECONDS, limits_of
from elite_pipeline.freshservice_entry import FreshserviceEntry
from elite_pipeline.ledger import LedgerRateBudget
from elite_pipeline.settings import Settings
from elite_pipeline.toga2_access import CONNECT_TIMEOUT, READ_TIMEOUT
from elite_pipeline.transport import Exchange, Redactor, RetryPolicy, Transport

#: Characters of a secret that nobody guesses.
_FEWEST_CHARS = 16
#: How long to wait, in seconds, for room in the budget that runs are using up.
_PATIENCE = 3.0


class _BusyError(TransientError):
    """Runs are using up the account's calls."""


def look_at_freshservice(
    notes: Notes,
    settings: Settings,
    client: Client,
    now: Callable[[], datetime],
    *,
    has_budget: bool,
) -> None:
    """Look at a client's Freshservice; nothing is said of a client that has none.

    Args:
        notes: Where findings go.
        settings: Key and secret, and where the budget is kept.
        client: Whose it is.
        now: The time, aware.
        has_budget: Whether the tables are there in which calls are counted.
    """
    entry = client.freshservice
    if entry is None:
        return
    with notes.guard("webhooks.secret"):
        _look_at_secret(notes, settings, client)
    if not client.flows.freshservice_to_toga2:
        notes.note("freshservice.answers", "freshservice_to_toga2 is switched off: not asked")
        return
    with notes.guard("freshservice.key") as guard:
        settings.freshservice_api_key(client)
        notes.ok("freshservice.key", said_of(f"{client.environment_prefix}_FRESHSERVICE_API_KEY"))
    if guard.is_broken:
        notes.not_looked_at("freshservice.answers", "without a key")
        notes.not_looked_at("freshservice.plan", "without a key")
        return
    said: dict[str, str] = {}
    with notes.guard("freshservice.answers") as guard:
        try:
            _ask(settings, client, entry, now(), said, has_budget=has_budget)
        except _BusyError as error:
            notes.not_looked_at("freshservice.answers", str(error))
            notes.not_looked_at("freshservice.plan", str(error))
            return
        notes.ok("freshservice.answers", f"{settings.freshservice_api_url(client)} takes the key")
    if guard.is_broken:
        notes.not_looked_at("freshservice.plan", "Freshservice did not answer")
        return
    _look_at_plan(notes, entry, said)


def _look_at_secret(notes: Notes, settings: Settings, client: Client) -> None:
    name = f"{client.environment_prefix}_WEBHOOK_SECRET"
    secret = settings.webhook_secret(client)
    if len(secret) < _FEWEST_CHARS:
        notes.warning(
            "webhooks.secret",
            f"{name} has {len(secret)} characters: take at least {_FEWEST_CHARS} random ones, here and "
            "in Freshservice's Workflow Automator (docs/webhooks.md)",
        )
    else:
        notes.ok("webhooks.secret", f"{said_of(name)}, and long enough")


def _ask(
    settings: Settings,
    client: Client,
    entry: FreshserviceEntry,
    now: datetime,
    said: dict[str, str],
    *,
    has_budget: bool,
) -> None:
    """List what has changed since just now: nothing, most likely.

    Args:
        said: Gets the answer's headers, in lower case.

    Raises:
        TransientError, PermanentError, SystemicError: As the transport says.
    """
    api_url, api_key = settings.freshservice_api_url(client), settings.freshservice_api_key(client)

    def keep(exchange: Exchange) -> None:
        said.update({name.lower(): value for name, value in exchange.response_headers.items()})

    transport = Transport(
        system="Freshservice",
        base_url=api_url,
        pool_size=1,
        redactor=Redactor.for_basic_auth(api_key, "X", settings.secret_values()),
        credentials=f"{client.environment_prefix}_FRESHSERVICE_API_KEY",
        unreachable="Check freshservice.base_url in the registry, and that the host can be reached.",
        retry=RetryPolicy(attempts=1),
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        budget=_budget(settings, entry, api_url) if has_budget else None,
        on_exchange=keep,
    )
    with closing(Calls(transport, api_url=api_url, api_key=api_key)) as calls:
        since = ("updated_since", wire.format_time(now))
        calls.page("/tickets", "tickets", 1, [since], kind=LIST_TICKETS)


def _budget(settings: Settings, entry: FreshserviceEntry, api_url: str) -> LedgerRateBudget:
    limits = limits_of(entry.plan, entry.calls_per_minute)
    waited = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += seconds
        if waited > _PATIENCE:
            raise _BusyError(
                "runs are using up the account's calls at the moment; look again in a minute"
            )
        time.sleep(seconds)

    return LedgerRateBudget(
        settings.pipeline_url,
        urlsplit(api_url).netloc,
        overall=limits.overall,
        kinds=limits.kinds,
        window_seconds=WINDOW_SECONDS,
        sleep=wait,
    )


def _look_at_plan(notes: Notes, entry: FreshserviceEntry, said: Mapping[str, str]) -> None:
    text = said.get("x-ratelimit-total", "").strip()
    if not text.isdecimal():
        notes.note("freshservice.plan", "the account does not say how many calls it allows")
        return
    total, assumed = int(text), PLANS[entry.plan]
    # what is said may be the limit of all calls, or of this kind of call
    known = {plan: {limits.overall, limits.kinds[LIST_TICKETS]} for plan, limits in PLANS.items()}
    if total in known[entry.plan]:
        notes.ok("freshservice.plan", f"{entry.plan}, as the account's {total} calls a minute say")
        return
    plans = [plan for plan, numbers in known.items() if total in numbers]
    instead = f"set freshservice.plan: {plans[0]}" if plans else "correct freshservice.plan"
    own = (assumed.overall, assumed.kinds[LIST_TICKETS])
    if total < min(own) or (plans and assumed.overall > PLANS[plans[0]].overall):
        notes.warning(
            "freshservice.plan",
            f"the account says {total} calls a minute, fewer than the plan {entry.plan} of the registry "
            f"has: {instead}, else it refuses calls (429)",
        )
    else:
        notes.warning(
            "freshservice.plan",
            f"the account says {total} calls a minute, other than the plan {entry.plan} of the registry "
            f"has: {instead}, so that its calls are made use of",
        )
