"""The systems that the engine syncs, real ones: TOGA 2 over a socket, a helpdesk database, a ledger."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline.clients import Client, parse_registry
from elite_pipeline.demo import DEMO_REGISTRY, demo_credentials
from elite_pipeline.errors import PipelineError
from elite_pipeline.ledger import Ledger
from elite_pipeline.sandbox.toga2 import SandboxClient, Store, Toga2Sandbox
from elite_pipeline.sync.context import FlowContext, Options
from elite_pipeline.sync.flows import run_flow
from elite_pipeline.sync.results import FlowResult, RecordFailure
from elite_pipeline.sync.watermarks import Watermarks
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline.togadesk import Uploads
from elite_pipeline.transport import Redactor, RetryPolicy, Transport
from elite_pipeline_tests.support.helpdesks import Helpdesk

#: Quick retries: what they wait for is tested with a clock of its own.
QUICK = RetryPolicy(attempts=3, base_seconds=0.001, max_seconds=0.01)


@cache
def demo_client(name: str) -> Client:
    """Return a client of the demo's registry."""
    text = DEMO_REGISTRY.read_text(encoding="utf-8")
    return parse_registry(text, source="demo").get(name)


def sandbox_client(client: Client) -> SandboxClient:
    """Return how the sandbox knows a client."""
    credentials = demo_credentials(client.name)
    return SandboxClient(
        name=client.name,
        client_uuid=str(client.toga2.client_uuid),
        api_key=credentials.api_key,
        api_secret=credentials.api_secret,
        custom_field_prefix=client.custom_field_prefix,
        integration_type=client.toga2.integration_type,
    )


def toga2_client(client: Client, base_url: str, **options: Any) -> Toga2Client:
    """Return a client's access to a TOGA 2."""
    credentials = demo_credentials(client.name)
    transport = Transport(
        system="TOGA 2",
        base_url=base_url,
        pool_size=client.toga2.max_in_flight,
        redactor=Redactor.for_basic_auth(credentials.api_key, credentials.api_secret),
        retry=QUICK,
        read_timeout=options.pop("read_timeout", 10.0),
    )
    return Toga2Client(
        transport,
        base_url=base_url,
        credentials=(credentials.api_key, credentials.api_secret),
        client_uuid=str(client.toga2.client_uuid),
        max_in_flight=client.toga2.max_in_flight,
        **options,
    )


def _not_at_all(_: float) -> None:
    pass


@dataclass
class Systems:
    """All systems of a test.

    Attributes:
        uploads_dir: The helpdesk's folder of files.
        later: How far ahead the clock is by which dead letters are due; each run is a second later than
            the one before it.
        sleep: Waits for what a killed run had sent.
        stopped_at: Where that clock stands still but for ``later``; None: it goes.
        reported: What the engine reported as failed: flow, failure, error.
    """

    toga2: Toga2Sandbox
    helpdesk: Helpdesk
    ledger_url: str
    uploads_dir: Path
    later: timedelta = timedelta()
    sleep: Callable[[float], None] = _not_at_all
    stopped_at: datetime | None = None
    clients: dict[str, Client] = field(
        default_factory=lambda: {name: demo_client(name) for name in ("elite", "wje")}
    )
    reported: list[tuple[str, RecordFailure, Exception]] = field(default_factory=list)

    @property
    def toga2_store(self) -> Store:
        """What TOGA 2 holds."""
        return self.toga2.store

    def later_by(self, **length: float) -> None:
        """Move the clock by which dead letters are due."""
        self.later += timedelta(**length)

    @contextmanager
    def open(self, client: str = "elite", **options: Any) -> Iterator[FlowContext]:
        """Open what one run of one client works with."""
        entry = self.clients[client]
        # the times of dead letters are whole seconds, and what failed in this one counts as tried
        self.later += timedelta(seconds=1)
        toga2 = toga2_client(entry, self.toga2.base_url, **options)
        ledger = Ledger(self.ledger_url, client)
        try:
            with self.helpdesk.store(entry.togadesk.client_id, timezone=entry.timezone) as store:
                yield FlowContext(
                    client=entry,
                    toga2=toga2,
                    togadesk=store,
                    find_uploads=lambda: Uploads(self.uploads_dir),
                    now=lambda: (self.stopped_at or datetime.now(UTC)) + self.later,
                    sleep=self.sleep,
                    ledger=ledger,
                    watermarks=Watermarks(toga2),
                    report=lambda *failure: self.reported.append(failure),
                )
        finally:
            toga2.close()
            ledger.close()

    def become(self, integration_type: str, client: str = "elite") -> None:
        """Change a client's integration type, as its entry in the registry would say it."""
        entry = self.clients[client]
        toga2 = entry.toga2.model_copy(update={"integration_type": integration_type})
        self.clients[client] = entry.model_copy(update={"toga2": toga2})

    def sync(self, flow: str, client: str = "elite", **options: Any) -> FlowResult:
        """Run one flow once, as a run of its own."""
        with self.open(client) as context:
            return run_flow(flow, context, Options(**options))

    def sync_all(self, client: str = "elite", **options: Any) -> dict[str, FlowResult]:
        """Run all flows once, reference data first."""
        flows = (
            "contacts",
            "units",
            "teams",
            "predefined_replies",
            "category_trees",
            "toga2_to_togadesk",
            "togadesk_to_toga2",
        )
        return {flow: self.sync(flow, client, **options) for flow in flows}

    def failing_sync(self, flow: str, client: str = "elite", **options: Any) -> PipelineError:
        """Run one flow that must stop with an error, and return the error."""
        with pytest.raises(PipelineError) as caught:
            self.sync(flow, client, **options)
        return caught.value


@pytest.fixture
def toga2() -> Iterator[Toga2Sandbox]:
    """Run an empty TOGA 2 with the demo's two clients."""
    clients = [sandbox_client(demo_client(name)) for name in ("elite", "wje")]
    with Toga2Sandbox(clients=clients) as sandbox:
        yield sandbox


@pytest.fixture
def systems(toga2: Toga2Sandbox, helpdesk: Helpdesk, tmp_path: Path) -> Systems:
    """Return empty systems, once per kind of helpdesk database."""
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    return Systems(toga2, helpdesk, f"sqlite:///{tmp_path / 'pipeline.sqlite'}", uploads)
