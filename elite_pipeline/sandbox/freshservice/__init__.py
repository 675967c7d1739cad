"""A runnable stand-in for Freshservice: real HTTP, as strict as its sheet, with faults on request.

It speaks ``spec/freshservice.md``. A test changes an account by hand, and reads what arrived::

    with FreshserviceSandbox([AccountSpec("elite", "a-key")]) as freshservice:
        account = freshservice.account("elite")
        fill(account)
        ticket = account.new_ticket("Printer is on fire", files=["photo.png"])
        account.reply(ticket, "<div>Any news?</div>", images=["screenshot.png"])
        freshservice.fault(Status(503), route="/tickets/{id}/conversations")
        requests.get(f"{account.api_url}/tickets/{ticket}", auth=(account.api_key, "X"))
        assert account.most_calls_in_60s() == 1
"""

from elite_pipeline.sandbox.freshservice.account import Account
from elite_pipeline.sandbox.freshservice.call_log import Call, CallLog
from elite_pipeline.sandbox.freshservice.faults import MalformedAttachment, WrongSize
from elite_pipeline.sandbox.freshservice.files import File, Image
from elite_pipeline.sandbox.freshservice.filling import fill
from elite_pipeline.sandbox.freshservice.payloads import (
    PAYLOAD_KINDS,
    UNRULY_SUBJECT,
    Event,
    PayloadKind,
)
from elite_pipeline.sandbox.freshservice.server import FreshserviceSandbox
from elite_pipeline.sandbox.freshservice.settings import (
    PLANS,
    AccountSpec,
    Budget,
    Limits,
    Plan,
    Settings,
)
from elite_pipeline.sandbox.freshservice.traffic import Traffic
from elite_pipeline.sandbox.freshservice.webhooks import Receiver, Sent, Webhooks
from elite_pipeline.sandbox.serving.faults import (
    Action,
    CutBody,
    Delay,
    Drop,
    FaultRule,
    InvalidJson,
    MalformedRecord,
    Shift,
    Stall,
    Status,
)
from elite_pipeline.sandbox.serving.host import PortTakenError

__all__ = [
    "PAYLOAD_KINDS",
    "PLANS",
    "UNRULY_SUBJECT",
    "Account",
    "AccountSpec",
    "Action",
    "Budget",
    "Call",
    "CallLog",
    "CutBody",
    "Delay",
    "Drop",
    "Event",
    "FaultRule",
    "File",
    "FreshserviceSandbox",
    "Image",
    "InvalidJson",
    "Limits",
    "MalformedAttachment",
    "MalformedRecord",
    "PayloadKind",
    "Plan",
    "PortTakenError",
    "Receiver",
    "Sent",
    "Settings",
    "Shift",
    "Stall",
    "Status",
    "Traffic",
    "Webhooks",
    "WrongSize",
    "fill",
]
