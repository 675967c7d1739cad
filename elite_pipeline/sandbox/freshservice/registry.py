"""The accounts of a sandbox, read from a registry file: the clients that have a Freshservice.

Only what the stand-in needs is read; the registry as a whole is checked elsewhere. The key of an account
follows from its client's name.
"""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from elite_pipeline.demo import demo_freshservice_key
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sandbox.freshservice.settings import PLANS, AccountSpec, Plan

_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


def read_accounts(path: Path, *, port: int, plan: Plan | None = None) -> list[AccountSpec]:
    """Return the accounts of the clients of a registry that have a Freshservice, in its order.

    Args:
        path: The registry.
        port: Where the first one listens; the others do where their ``base_url`` on this machine says,
            or on a free port.
        plan: The plan of all of them, instead of the registry's.

    Raises:
        ConfigurationError: The file cannot be read, or no client has a Freshservice.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: is not valid YAML: {error}") from error
    clients = document.get("clients") if isinstance(document, dict) else None
    sections = {
        str(name): entry["freshservice"]
        for name, entry in (clients if isinstance(clients, dict) else {}).items()
        if isinstance(entry, dict) and isinstance(entry.get("freshservice"), dict)
    }
    if not sections:
        raise ConfigurationError(f"{path}: no client has a section 'freshservice'")
    return [
        AccountSpec(
            name,
            demo_freshservice_key(name),
            plan or _plan(path, name, section),
            _local_port(section) if place else port,
        )
        for place, (name, section) in enumerate(sections.items())
    ]


def _plan(path: Path, name: str, section: dict[str, Any]) -> Plan:
    wanted = section.get("plan", "starter")
    found = next((plan for plan in PLANS if plan == wanted), None)
    if found is not None:
        return found
    plans = ", ".join(PLANS)
    raise ConfigurationError(f"{path}: client {name!r}: freshservice.plan must be one of: {plans}")


def _local_port(section: dict[str, Any]) -> int:
    address = urlsplit(str(section.get("base_url", "")))
    try:
        return (address.port or 0) if address.hostname in _LOOPBACK else 0
    except ValueError:
        return 0
