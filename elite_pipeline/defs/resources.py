"""What assets work with: each client's systems, opened once per run and shared by its steps.

The engine is imported where it is first needed: the definitions are loaded by every process that
Dagster starts, and most of them never run a flow.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from elite_pipeline.errors import PipelineError
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.observability.sentry import Report
    from elite_pipeline.sync.context import FlowContext, Options
    from elite_pipeline.sync.results import FlowResult, RecordFailure

#: A long run says how far it is at most this often.
PROGRESS_SECONDS = 10.0


class ClientSystems:
    """Runs flows; a client's systems are opened when a step first needs them.

    Args:
        settings: The process's settings.
        stack: Closes at the end of the run what was opened.
    """

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._contexts: dict[str, FlowContext] = {}

    def sync(
        self, flow: str, client: str, options: "Options", progress: Callable[[str], None]
    ) -> "FlowResult":
        """Run one flow of one client.

        Raises:
            PipelineError: The client's entry or a setting is wrong, or the flow stopped.
        """
        from elite_pipeline.sync.flows import run_flow  # noqa: PLC0415

        report = self._report
        try:
            context = self._context(client)
            context.progress = _now_and_then(progress)
            return run_flow(flow, context, options)
        except PipelineError as error:
            report(error, {"client": client, "flow": flow, "kind": error.kind})
            raise

    @cached_property
    def _report(self) -> "Report":
        """Where failures go.

        Opened by the first step, not with the resource: what is wrong with it is then told as any
        other wrong setting is.
        """
        from elite_pipeline.observability.sentry import open_sentry  # noqa: PLC0415

        return open_sentry(self._settings)

    def _context(self, client: str) -> "FlowContext":
        from elite_pipeline.assembly import open_client  # noqa: PLC0415

        if client not in self._contexts:
            entry = self._settings.registry.get(client)
            context = self._stack.enter_context(open_client(self._settings, entry))
            context.report = self._reporter(client)
            self._contexts[client] = context
        return self._contexts[client]

    def _reporter(self, client: str) -> "Callable[[str, RecordFailure, Exception], None]":
        def report(flow: str, failure: "RecordFailure", error: Exception) -> None:
            self._report(
                error,
                {"client": client, "flow": flow, "record": failure.record, "kind": failure.kind},
            )

        return report


def client_systems(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource that opens clients' systems, once per run."""

    @dg.resource(description="The systems of the run's client: TOGA 2, TOGaDesk, the ledger.")
    def systems(_context: dg.InitResourceContext) -> Iterator[ClientSystems]:
        with ExitStack() as stack:
            yield ClientSystems(settings, stack)

    return systems


def _now_and_then(say: Callable[[str], None]) -> Callable[[str], None]:
    last = time.monotonic()

    def progress(text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            say(text)

    return progress
