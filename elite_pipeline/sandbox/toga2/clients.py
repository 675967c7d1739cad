"""The tenants of a sandbox, and its switches."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from elite_pipeline.sandbox.toga2.schema import JOB_KINDS, JobKind, custom_field_pattern


@dataclass(frozen=True)
class SandboxClient:
    """A client (tenant) that may call the sandbox.

    Attributes:
        name: What the store calls it; never on the wire.
        client_uuid: The value of its ``X-Client-Uuid`` header.
        api_key: The user part of its HTTP Basic credentials.
        api_secret: The password part.
        custom_field_prefix: What its custom fields begin with, e.g. ``c_elite``.
        integration_type: Whether its made-up tickets are tickets (``TICKETS``) or repair orders
            (``REPAIR_ORDERS``); the routes of both are open to it.
    """

    name: str
    client_uuid: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    custom_field_prefix: str
    integration_type: str = "TICKETS"

    @property
    def job_kind(self) -> JobKind:
        """What stands for this client's tickets."""
        return JOB_KINDS[self.integration_type]

    @cached_property
    def custom_fields(self) -> re.Pattern[str]:
        """What this client's custom fields are called."""
        return custom_field_pattern(self.custom_field_prefix)


@dataclass
class Settings:
    """The switches of a running sandbox; a change holds from the next request on.

    Attributes:
        latency_seconds: How long every answer is held back.
        expand_lists: Whether list answers honour ``depth``, or are always of depth 1. Which of the
            two TOGA 2 does is not known.
        notes_touch_ticket: Whether writing a note moves the ``_updated`` of its ticket too. Which of
            the two TOGA 2 does is not known.
    """

    latency_seconds: float = 0.0
    expand_lists: bool = True
    notes_touch_ticket: bool = True
