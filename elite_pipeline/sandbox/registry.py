"""The tenants of a sandbox, read from a registry file (``clients.yaml``).

Only what the stand-ins need is read: names, client uuids, integration types and custom-field prefixes.
The registry as a whole is checked elsewhere; the credentials of a sandbox client follow from its name.
"""

from pathlib import Path
from typing import Any

import click
import yaml

from elite_pipeline.demo import demo_credentials
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.sandbox.toga2 import SandboxClient
from elite_pipeline.sandbox.toga2.schema import JOB_KINDS
from elite_pipeline.settings import default_registry

clients_option = click.option(
    "--clients-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=default_registry,
    envvar="ELITE_PIPELINE_CLIENTS",
    show_default="./clients.yaml if it is there, else the demo's",
    show_envvar=True,
    help="The registry (clients.yaml) whose clients may call the sandbox.",
)


def read_clients(path: Path) -> list[SandboxClient]:
    """Return the clients of a registry, in its order.

    Raises:
        ConfigurationError: The file cannot be read, or an entry lacks what a sandbox needs.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path}: is not valid YAML: {error}") from error
    entries = document.get("clients") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or not entries:
        raise ConfigurationError(f"{path}: needs a mapping 'clients' with at least one client")
    return [_client(path, str(name), entry) for name, entry in entries.items()]


def find_client(path: Path, name: str) -> SandboxClient:
    """Return one client of a registry.

    Raises:
        ConfigurationError: As :func:`read_clients`, or it has no such client.
    """
    clients = {client.name: client for client in read_clients(path)}
    if name not in clients:
        raise ConfigurationError(f"{path}: no client {name!r}; there are: {', '.join(clients)}")
    return clients[name]


def _client(path: Path, name: str, entry: Any) -> SandboxClient:
    toga2 = entry.get("toga2") if isinstance(entry, dict) else None
    given: dict[str, Any] = toga2 if isinstance(toga2, dict) else {}
    client_uuid = given.get("client_uuid")
    if not isinstance(client_uuid, str):
        raise ConfigurationError(f"{path}: client {name!r}: toga2.client_uuid must be a uuid")
    integration_type = given.get("integration_type", "TICKETS")
    if not isinstance(integration_type, str) or integration_type not in JOB_KINDS:
        raise ConfigurationError(
            f"{path}: client {name!r}: toga2.integration_type must be one of: {', '.join(JOB_KINDS)}"
        )
    prefix = entry.get("custom_field_prefix")
    if not isinstance(prefix, str) or not prefix.startswith("c_"):
        raise ConfigurationError(
            f"{path}: client {name!r}: custom_field_prefix must be a text like c_{name}"
        )
    credentials = demo_credentials(name)
    return SandboxClient(
        name=name,
        client_uuid=client_uuid,
        api_key=credentials.api_key,
        api_secret=credentials.api_secret,
        custom_field_prefix=prefix,
        integration_type=integration_type,
    )
