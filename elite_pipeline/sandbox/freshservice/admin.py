"""The own endpoints of the sandbox's Freshservice: its accounts, their calls, traffic and webhooks.

What every sandbox has (counters, faults, switches) is in ``serving.own_endpoints``.
"""

from asyncio import Event
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.filling import fill
from elite_pipeline.sandbox.freshservice.settings import Budget
from elite_pipeline.sandbox.freshservice.traffic import Traffic
from elite_pipeline.sandbox.freshservice.webhooks import Receiver
from elite_pipeline.sandbox.serving.own_endpoints import body_of, own_route

#: How many things one request may ask to be done.
AT_ONCE: Final = 1_000


def account_routes(accounts: Mapping[str, Account], closing: Event) -> list[Route]:
    """Return the routes of the endpoints that are about accounts.

    Args:
        accounts: The accounts by name.
        closing: Set when the server is told to stop.
    """

    async def show(_: Request) -> Response:
        return JSONResponse({"accounts": {name: _shown(each) for name, each in accounts.items()}})

    async def traffic(request: Request) -> Response:
        body = await body_of(request)
        account = _account(accounts, body)
        count, seed = body.get("count", 1), body.get("seed", 0)
        if not isinstance(count, int) or not 1 <= count <= AT_ONCE:
            raise ValueError(f"count must be a number from 1 to {AT_ONCE}")
        people = Traffic(account, seed=str(seed))

        def work() -> list[str]:
            return [people.do_something() for _ in range(count) if not closing.is_set()]

        # in a thread: while people are busy, whoever was told of it is answered
        return JSONResponse({"done": await run_in_threadpool(work)})

    async def webhooks(request: Request) -> Response:
        body = await body_of(request)
        account = _account(accounts, body)
        changes = {name: value for name, value in body.items() if name != "account"}
        account.webhooks.send_to(_receiver(account.webhooks.receiver, changes))
        return JSONResponse(_shown(account))

    async def reset(request: Request) -> Response:
        body = await body_of(request)
        account = _account(accounts, body)
        account.clear()
        fill(account)
        return JSONResponse(_shown(account))

    async def expire_links(request: Request) -> Response:
        account = _account(accounts, await body_of(request))
        account.expire_links()
        return JSONResponse(_shown(account))

    return [
        own_route("accounts", "GET", show),
        own_route("traffic", "POST", traffic),
        own_route("webhooks", "PATCH", webhooks),
        own_route("reset", "POST", reset),
        own_route("expire-links", "POST", expire_links),
    ]


def _account(accounts: Mapping[str, Account], body: Mapping[str, Any]) -> Account:
    name = body.get("account")
    if name not in accounts:
        raise ValueError(f"account must be one of: {', '.join(accounts)}")
    return accounts[str(name)]


def _shown(account: Account) -> dict[str, Any]:
    webhooks = account.webhooks
    return {
        "base_url": account.base_url,
        "plan": account.spec.plan,
        "tickets": len(account.tickets),
        "calls": len(account.calls),
        "refused": account.log.count(status=429),
        "most_in_60s": {
            "overall": account.most_calls_in_60s(),
            **{budget: account.most_calls_in_60s(budget) for budget in get_args(Budget)},
        },
        "downloads": len(account.downloads),
        "leaks": account.leaks,
        "webhooks": {
            "to": webhooks.receiver.url if webhooks.receiver else None,
            "told": webhooks.told,
            "lost": webhooks.lost,
            "waiting": webhooks.waiting,
            "sent": len(webhooks.sent),
            "accepted": sum(200 <= (sent.status or 0) <= 299 for sent in webhooks.sent),
        },
    }


def _receiver(present: Receiver | None, changes: Mapping[str, Any]) -> Receiver | None:
    """Return where webhooks go after some changes; nowhere with an empty url.

    Raises:
        ValueError: A key is unknown, or a value does not fit.
    """
    values = {**(asdict(present) if present else {}), **changes}
    if not values.get("url"):
        return None
    known = [field.name for field in fields(Receiver)]
    for name in values:
        if name not in known:
            raise ValueError(f"unknown key {name!r}; there are: {', '.join(known)}")
    try:
        return TypeAdapter(Receiver).validate_python(values)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise ValueError(f"{where}: {found['msg']}") from None
