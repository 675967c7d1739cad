"""A runnable stand-in for TOGA 2: real HTTP, strict, with faults on request.

It speaks ``spec/systems.md`` section 2. Someone who has no access to the real TOGA 2 can develop
against it, and a test can make it slow, broken and forgetful::

    with Toga2Sandbox(clients=[elite]) as toga2:
        toga2.store.create("elite", "contacts", {"firstName": "Ada", "email": "ada@example.com"})
        toga2.faults.add(Status(503, retry_after=1), method="GET", route="/contacts")
        requests.get(f"{toga2.base_url}/contacts", ...)
"""

from elite_pipeline.sandbox.serving.faults import (
    Action,
    CutBody,
    Delay,
    Drop,
    FaultPlan,
    FaultRule,
    InvalidJson,
    MalformedRecord,
    Shift,
    Stall,
    Status,
)
from elite_pipeline.sandbox.serving.host import PortTakenError
from elite_pipeline.sandbox.serving.recorder import RecordedRequest, RequestInfo
from elite_pipeline.sandbox.toga2.clients import SandboxClient, Settings
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.server import Toga2Sandbox
from elite_pipeline.sandbox.toga2.store import Store

__all__ = [
    "Action",
    "CutBody",
    "Delay",
    "Drop",
    "FaultPlan",
    "FaultRule",
    "InvalidJson",
    "MalformedRecord",
    "PortTakenError",
    "RecordedRequest",
    "RefusedError",
    "RequestInfo",
    "SandboxClient",
    "Settings",
    "Shift",
    "Stall",
    "Status",
    "Store",
    "Toga2Sandbox",
]
