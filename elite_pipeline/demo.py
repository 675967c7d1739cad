"""What the demo is made of, in one place: its clients, ports, folder and throw-away credentials.

A checkout without any settings runs against the sandbox on loopback. Everything that this takes is
derived here, so that the sandbox, the pipeline and the command line agree without sharing state.

What does not belong here: starting anything (``cli``), and the sandbox itself.
"""

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from elite_pipeline.errors import ConfigurationError

#: The registry that a checkout without settings runs on; it ships inside the package.
DEMO_REGISTRY = Path(__file__).with_name("demo_clients.yaml")

#: Port -> environment variable that moves it (``make demo`` prints and checks them).
DEFAULT_TOGA2_PORT = 8002
DEFAULT_FRESHSERVICE_PORT = 8092
DEFAULT_WEBHOOKS_PORT = 8093
DEFAULT_DAGSTER_PORT = 3000
#: Things that people do in the demo's Freshservice in a minute.
DEFAULT_TRAFFIC = "3"
MOST_TRAFFIC = 600

_NAMESPACE = uuid.UUID("6a0fb2c4-58a7-4d0c-93d6-0f6f6a3ed0a1")


@dataclass(frozen=True, slots=True)
class DemoCredentials:
    """Key and secret with which a demo client may call the sandbox, and nothing else."""

    api_key: str
    api_secret: str


def demo_credentials(client: str) -> DemoCredentials:
    """Return the credentials that the sandbox gives a client.

    They are derived from the client's name, open only a sandbox on this machine, and guard made-up
    data; they are not secrets.
    """
    return DemoCredentials(
        api_key=str(uuid.uuid5(_NAMESPACE, f"{client}/key")),
        api_secret=str(uuid.uuid5(_NAMESPACE, f"{client}/secret")),
    )


def demo_freshservice_key(client: str) -> str:
    """Return the API key that the sandbox's Freshservice takes from a client; no secret either."""
    return str(uuid.uuid5(_NAMESPACE, f"{client}/freshservice"))


def demo_webhook_secret(client: str) -> str:
    """Return the secret that a client's webhooks carry in the demo; no secret either."""
    return str(uuid.uuid5(_NAMESPACE, f"{client}/webhook"))


def traffic_per_minute() -> float:
    """Return how much happens in the demo's Freshservice in a minute (``DEMO_TRAFFIC``); 0: nothing.

    Raises:
        ConfigurationError: It is not such a number.
    """
    text = os.environ.get("DEMO_TRAFFIC") or DEFAULT_TRAFFIC
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= MOST_TRAFFIC:
        raise ConfigurationError(
            f"DEMO_TRAFFIC: expected a number from 0 to {MOST_TRAFFIC}, not {text!r}."
        )
    return number


def is_supervised() -> bool:
    """Tell whether this process belongs to a running demo, whose sandbox is up beside it."""
    return "DEMO_DIR" in os.environ


def demo_dir() -> Path:
    """Return the folder that holds all of the demo's data (``DEMO_DIR``, default ``.demo``)."""
    return Path(os.environ.get("DEMO_DIR", ".demo")).absolute()


def toga2_port() -> int:
    """Return the port of the sandbox's TOGA 2 (``TOGA2_PORT``).

    Raises:
        ConfigurationError: It is not a number.
    """
    return _port("TOGA2_PORT", DEFAULT_TOGA2_PORT)


def freshservice_port() -> int:
    """Return the port of the sandbox's Freshservice (``FRESHSERVICE_PORT``).

    Raises:
        ConfigurationError: It is not a number.
    """
    return _port("FRESHSERVICE_PORT", DEFAULT_FRESHSERVICE_PORT)


def webhooks_port() -> int:
    """Return the port of the webhooks' receiver in the demo (``WEBHOOKS_PORT``).

    Raises:
        ConfigurationError: It is not a number.
    """
    return _port("WEBHOOKS_PORT", DEFAULT_WEBHOOKS_PORT)


def _port(variable: str, default: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ConfigurationError(f"{variable}: expected a port number from 1 to 65535.")
    return int(text)
