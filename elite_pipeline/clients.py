"""The registry: ``clients.yaml`` read into typed, validated clients.

Follows ``spec/sync.md`` section 1. One entry per client; Dagster's partitions are its keys. A
mistake in one entry makes that client unusable, with one message naming client, field and what was
expected, and leaves the others alone.

What does not belong here: secrets (``settings``), how a mistake is worded (``registry_mistakes``),
the sections on Freshservice (``freshservice_entry``) and on checks (``checks_entry``), and anything
that differs by client in code.
"""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, Field, model_validator

from elite_pipeline import freshservice_entry
from elite_pipeline.checks_entry import ChecksEntry
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.freshservice_entry import FreshserviceEntry
from elite_pipeline.registry_mistakes import mistakes
from elite_pipeline.registry_values import Entry, spelled

#: A client's name is a Dagster partition key and the prefix of its environment variables.
CLIENT_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

_CUSTOM_FIELD_PREFIX = re.compile(r"c_[A-Za-z][A-Za-z0-9]*")

#: ``tickets.status`` and ``tickets.priority`` are varchar(50) [S].
HELPDESK_VALUE_LENGTH = 50

#: TOGA 2 status -> helpdesk status; the values: ``spec/systems.md`` sections 2 [A] and 3 [S].
DEFAULT_STATUS_MAP: Mapping[str, str] = {
    "NEW": "Open",
    "OPEN": "Open",
    "IN_PROGRESS": "In Progress",
    "PENDING": "Answered",
    "RESOLVED": "Closed",
    "CLOSED": "Closed",
}
#: TOGA 2 priority -> helpdesk priority.
DEFAULT_PRIORITY_MAP: Mapping[str, str] = {
    "LOW": "Low",
    "NORMAL": "Normal",
    "HIGH": "High",
    "URGENT": "High",
}


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError("expected an IANA time zone such as America/Chicago") from error
    return name


def _custom_field_prefix(text: str) -> str:
    if not _CUSTOM_FIELD_PREFIX.fullmatch(text):
        raise ValueError("expected c_ and a name of letters and digits, such as c_elite")
    return text


def _helpdesk_value(text: str) -> str:
    if len(spelled(text)) > HELPDESK_VALUE_LENGTH:
        raise ValueError(
            f"expected at most {HELPDESK_VALUE_LENGTH} characters, which is what the helpdesk's "
            "column holds"
        )
    return text


_Id = Annotated[int, Field(ge=1)]
#: TOGA 2's value, one of the defaults' or a client's own -> the helpdesk's.
_ValueMap = dict[
    Annotated[str, AfterValidator(spelled)], Annotated[str, AfterValidator(_helpdesk_value)]
]


class Toga2Entry(Entry):
    """Who the client is towards TOGA 2, and how hard we may ask."""

    client_uuid: UUID
    integration_type: Literal["TICKETS", "REPAIR_ORDERS"] = "TICKETS"
    max_in_flight: int = Field(default=8, ge=1, le=64, description="Requests at once.")
    lag_seconds: int = Field(
        default=120,
        ge=1,
        le=86_400,
        description="How far reading goes back behind the watermark, in seconds (sync.md 2).",
    )
    in_doubt_seconds: int = Field(
        default=10,
        ge=0,
        le=300,
        description="Behind a run that left calls under way, the next one waits so long for them.",
    )
    status_map: _ValueMap = Field(default_factory=dict)
    priority_map: _ValueMap = Field(default_factory=dict)


class TogadeskEntry(Entry):
    """Where the client stands in the helpdesk."""

    client_id: _Id
    ticket_department_id: _Id
    monitored_department_ids: Annotated[list[_Id], Field(min_length=1)] | None = None
    timezone: Annotated[str, AfterValidator(_known_zone)] = "UTC"
    settle_seconds: int = Field(
        default=10,
        ge=0,
        le=3_600,
        description="A reply this young is left for the next run: its files may be on their way.",
    )


class FlowSwitches(Entry):
    """Which flows run. A flow that is not named is off."""

    contacts: bool = False
    units: bool = False
    teams: bool = False
    predefined_replies: bool = False
    category_trees: bool = False
    toga2_to_togadesk: bool = False
    togadesk_to_toga2: bool = False
    freshservice_to_toga2: bool = False


class Client(Entry):
    """One client: a tenant of all three systems, and a partition of every asset."""

    name: str
    toga2: Toga2Entry
    togadesk: TogadeskEntry
    custom_field_prefix: Annotated[str, AfterValidator(_custom_field_prefix)]
    flows: FlowSwitches = FlowSwitches()
    freshservice: FreshserviceEntry | None = None
    checks: ChecksEntry = ChecksEntry()

    @model_validator(mode="after")
    def _flows_have_what_they_need(self) -> Self:
        if self.flows.freshservice_to_toga2 and self.freshservice is None:
            raise ValueError(
                "flows.freshservice_to_toga2 is on: expected a freshservice section with base_url "
                "and webhook_action, or switch the flow off"
            )
        return self

    @property
    def timezone(self) -> ZoneInfo:
        """The zone of the helpdesk's naive times."""
        return ZoneInfo(self.togadesk.timezone)

    @property
    def monitored_department_ids(self) -> tuple[int, ...]:
        """Departments whose tickets flow out; none given means the ticket department alone."""
        given = self.togadesk.monitored_department_ids
        return tuple(given) if given else (self.togadesk.ticket_department_id,)

    @property
    def status_map(self) -> Mapping[str, str]:
        """TOGA 2 status -> helpdesk status, the client's own entries over the defaults."""
        return {**DEFAULT_STATUS_MAP, **self.toga2.status_map}

    @property
    def priority_map(self) -> Mapping[str, str]:
        """TOGA 2 priority -> helpdesk priority, the client's own entries over the defaults."""
        return {**DEFAULT_PRIORITY_MAP, **self.toga2.priority_map}

    @property
    def freshservice_status_map(self) -> Mapping[int, str]:
        """Freshservice status -> TOGA 2 status, the client's own entries over the defaults."""
        own = self.freshservice.status_map if self.freshservice else {}
        return {**freshservice_entry.DEFAULT_STATUS_MAP, **own}

    @property
    def freshservice_priority_map(self) -> Mapping[int, str]:
        """Freshservice priority -> TOGA 2 priority, the client's own entries over the defaults."""
        own = self.freshservice.priority_map if self.freshservice else {}
        return {**freshservice_entry.DEFAULT_PRIORITY_MAP, **own}

    @property
    def environment_prefix(self) -> str:
        """How its environment variables start: ``compass-usa`` -> ``COMPASS_USA``."""
        return self.name.upper().replace("-", "_")


@dataclass(frozen=True, slots=True)
class Registry:
    """All clients of a registry file, the broken ones included.

    Attributes:
        source: The file, for messages.
        names: Every client of the file whose name can be one, in its order: the partition keys. One
            with another name is only in ``problems``: Dagster would refuse it, and all others with it.
        problems: Broken client -> the message that says what is wrong, one line per mistake.
    """

    source: str
    names: tuple[str, ...]
    clients: Mapping[str, Client]
    problems: Mapping[str, str]

    def get(self, name: str) -> Client:
        """Return one client.

        Raises:
            ConfigurationError: The client is unknown, or its entry is broken.
        """
        if name in self.problems:
            raise ConfigurationError(self.problems[name])
        if name not in self.clients:
            known = ", ".join(self.names) or "none"
            raise ConfigurationError(
                f"{self.source}: there is no client {name!r}; it has: {known}. "
                "Add it to the registry or choose one of these."
            )
        return self.clients[name]


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe YAML in which a key that stands twice is an error, not a silent overwrite."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                # not a key, but what is taken over from elsewhere; what stands here wins over it
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            seen.add(key if isinstance(key, Hashable) else repr(key))
        return super().construct_mapping(node, deep)


def load_registry(path: Path) -> Registry:
    """Read and validate a registry file.

    Raises:
        ConfigurationError: The file cannot be read, is not YAML, or names no client at all. A
            mistake inside one client's entry is not raised: it is in :attr:`Registry.problems`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"The client registry {path} cannot be read: {reason}. "
            "Set ELITE_PIPELINE_CLIENTS to a readable file; clients.example.yaml shows its shape."
        ) from None
    return parse_registry(text, source=str(path))


def parse_registry(text: str, *, source: str) -> Registry:
    """Validate the text of a registry. See :func:`load_registry`."""
    try:
        document = _UniqueKeyLoader(text).get_single_data()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "not valid YAML"
        raise ConfigurationError(f"{source}{where}: {problem}. Mend the YAML there.") from None
    entries = document.get("clients") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ConfigurationError(
            f"{source}: expected a mapping 'clients:' with one entry per client; "
            "clients.example.yaml shows its shape."
        )
    _refuse_unknown_keys(document, source)
    clients: dict[str, Client] = {}
    problems: dict[str, str] = {}
    for key, entry in entries.items():
        name = str(key)
        try:
            clients[name] = _parse_client(name, entry)
        except ValueError as error:
            problems[name] = _say(source, name, mistakes(error))
    _refuse_shared_identities(clients, problems, source)
    return Registry(
        source=source,
        names=tuple(name for key in entries if CLIENT_NAME.fullmatch(name := str(key))),
        clients=clients,
        problems=problems,
    )


def _parse_client(name: str, entry: object) -> Client:
    if not CLIENT_NAME.fullmatch(name):
        raise ValueError(
            "expected a name of lower-case letters and digits, with single hyphens between"
        )
    fields = entry if isinstance(entry, dict) else {}
    return Client.model_validate({**fields, "name": name})


def _say(source: str, name: str, said: Iterable[str]) -> str:
    """Return one line per mistake, each of which can be understood alone."""
    return "\n".join(f"{source}: client {name!r}: {sentence}" for sentence in said)


def _refuse_unknown_keys(document: Mapping[object, object], source: str) -> None:
    """Refuse what stands beside the clients: most likely one that is not indented."""
    unknown = [key for key in map(str, document) if key != "clients" and not key.startswith("x-")]
    if unknown:
        raise ConfigurationError(
            "\n".join(
                f"{source}: unknown key {key!r} beside 'clients', the only one known there. Indent "
                "it below 'clients:' if it is a client, or remove it; what entries share may stand "
                "there under a name that starts with x-."
                for key in unknown
            )
        )


def _refuse_shared_identities(
    clients: dict[str, Client], problems: dict[str, str], source: str
) -> None:
    """Two clients that are one and the same on a side would mix their data (sync.md 10.8)."""
    identities: dict[str, dict[object, list[str]]] = {}
    for client in clients.values():
        for field, value in _identities(client):
            identities.setdefault(field, {}).setdefault(value, []).append(client.name)
    for field, holders in identities.items():
        for names in holders.values():
            for name in names if len(names) > 1 else ():
                others = ", ".join(other for other in names if other != name)
                problems.setdefault(
                    name,
                    _say(
                        source,
                        name,
                        [f"{field}: expected a value of its own, but {others} has the same one."],
                    ),
                )
    for name in problems:
        clients.pop(name, None)


def _identities(client: Client) -> Iterator[tuple[str, object]]:
    """Yield what no other client may have."""
    yield "toga2.client_uuid", client.toga2.client_uuid
    yield "togadesk.client_id", client.togadesk.client_id
    if client.freshservice is not None:
        # somebody else's table may not tell actions apart that differ in case
        yield "freshservice.webhook_action", client.freshservice.webhook_action.casefold()
        address = client.freshservice.base_url
        yield "freshservice.base_url", ((address.host or "").casefold(), address.port)
