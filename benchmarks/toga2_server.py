"""The sandbox's TOGA 2 as a process of its own, so that it shares no interpreter with who is measured.

``python -m benchmarks.toga2_server FILE`` serves a file of records on a free port, prints where, and
ends when its input ends; with a number behind it, it serves so many clients.
"""

import sys
from pathlib import Path

from elite_pipeline.clients import parse_registry
from elite_pipeline.demo import DEMO_REGISTRY, demo_credentials
from elite_pipeline.sandbox.toga2 import SandboxClient, Toga2Sandbox


def sandbox_client() -> SandboxClient:
    """Return the one client that is measured, as the sandbox knows it."""
    text = DEMO_REGISTRY.read_text(encoding="utf-8")
    client = parse_registry(text, source="demo").get("elite")
    credentials = demo_credentials(client.name)
    return SandboxClient(
        name=client.name,
        client_uuid=str(client.toga2.client_uuid),
        api_key=credentials.api_key,
        api_secret=credentials.api_secret,
        custom_field_prefix=client.custom_field_prefix,
    )


def sandbox_clients(count: int) -> list[SandboxClient]:
    """Return so many clients, as the sandbox knows them."""
    return [
        SandboxClient(
            name=name,
            client_uuid=f"00000000-0000-4000-8000-{number:012}",
            api_key=demo_credentials(name).api_key,
            api_secret=demo_credentials(name).api_secret,
            custom_field_prefix=f"c_{name}",
        )
        for number in range(1, count + 1)
        if (name := f"client{number}")
    ]


def main() -> None:
    """Serve until the input ends: a parent that dies takes its server with it."""
    clients = sandbox_clients(int(sys.argv[2])) if sys.argv[2:] else [sandbox_client()]
    with Toga2Sandbox(clients, path=Path(sys.argv[1])) as sandbox:
        print(sandbox.base_url, sandbox.admin_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
