"""What assets work with: each client's systems, opened once per run and shared by its steps.

The engine is imported where it is first needed: the definitions are loaded by every process that
Dagster starts, and most of them never run a flow.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from elite_pipeline.defs.failure_tags import TOLD_TAG
from elite_pipeline.errors import PipelineError
from elite_pipeline.settings import Settings

if TYPE_CHECKING:
    from elite_pipeline.observability.sentry import Report
    from elite_pipeline.sync.context import FlowContext, Options
    from elite_pipeline.sync.results import FlowResult, RecordFailure
    from elite_pipeline.sync.verify.run import Choices
    from elite_pipeline.sync.verify.run import Report as VerifyReport

#: A long run says how far it is at most this often.
PROGRESS_SECONDS = 10.0


class ClientSystems:
    """Runs flows; a client's systems are opened when a step first needs them.

    Args:
        settings: The process's settings.
        stack: Closes at the end of the run what was opened.
        run_id: Dagster's, by which the call log ties the run's calls together.
        warn: Told, at the end of the run, what no step could say any more.
        mark_told: Told that whoever collects failures knows of this run's, so that nobody else tells.
    """

    def __init__(
        self,
        settings: Settings,
        stack: ExitStack,
        run_id: str | None = None,
        warn: Callable[[str], None] | None = None,
        mark_told: Callable[[], None] | None = None,
    ) -> None:
        self._mark_told = mark_told
        self._settings = settings
        self._stack = stack
        self._run_id = run_id
        self._warn = warn
        self._contexts: dict[str, FlowContext] = {}

    def sync(
        self, flow: str, client: str, options: "Options", progress: Callable[[str], None]
    ) -> "FlowResult":
        """Run one flow of one client.

        Raises:
            PipelineError: The client's entry or a setting is wrong, or the flow stopped.
        """
        from elite_pipeline.sync.flows import run_flow  # noqa: PLC0415 - most processes never sync

        # nobody is to be woken by what did not happen
        with nullcontext() if options.dry_run else self._report.run(client, flow):
            context = self._context(client)
            context.progress = _now_and_then(progress)
            return run_flow(flow, context, options)

    @contextmanager
    def verified(
        self, client: str, choices: "Choices", progress: Callable[[str], None]
    ) -> "Iterator[VerifyReport]":
        """Compare both sides of one client; what is yielded is valid inside.

        Raises:
            PipelineError: The client's entry or a setting is wrong, or a system cannot be asked.
        """
        from elite_pipeline.sync.verify.run import verify  # noqa: PLC0415 - most processes never do

        with self._report.run(client, "verify"):
            context = self._context(client)
            context.progress = _now_and_then(progress)
            with verify(context, choices) as report:
                yield report

    @contextmanager
    def reporting(self, flow: str, client: str) -> Iterator[None]:
        """Report what nobody foresaw in a step, outside of its flow.

        What is a ``dagster.Failure`` was foreseen, and reported where it came from.
        """
        try:
            yield
        except dg.Failure:
            self._settle()
            raise
        except Exception:
            with ExitStack() as stack:
                stack.callback(self._settle)
                stack.enter_context(self._report.run(client, flow))
                raise

    def _settle(self) -> None:
        """Say that this run's failure needs no telling any more; where nobody was told, it does."""
        # a wrong setting of where to tell is what the run itself fails with
        with suppress(PipelineError):
            if self._mark_told is not None and self._report.reaches_somebody:
                self._mark_told()

    @cached_property
    def _report(self) -> "Report":
        """Where failures go.

        Opened by the first step, not with the resource: what is wrong with it is then told as any
        other wrong setting is.
        """
        from elite_pipeline.observability.sentry import open_sentry  # noqa: PLC0415 - most processes never sync

        report = open_sentry(self._settings)
        self._stack.callback(report.close)
        return report

    def _context(self, client: str) -> "FlowContext":
        from elite_pipeline.assembly import open_client  # noqa: PLC0415 - most processes never sync

        if client not in self._contexts:
            entry = self._settings.registry.get(client)
            context = self._stack.enter_context(
                open_client(self._settings, entry, run_id=self._run_id, warn=self._warn)
            )
            context.report = self._reporter(client)
            self._contexts[client] = context
        return self._contexts[client]

    def _reporter(self, client: str) -> "Callable[[str, RecordFailure, Exception], None]":
        def report(flow: str, failure: "RecordFailure", error: Exception) -> None:
            self._report.record_failed(
                error,
                client=client,
                flow=flow,
                record=failure.full_name,
                kind=failure.kind,
                parked=failure.parked,
            )

        return report


def client_systems(settings: Settings) -> dg.ResourceDefinition:
    """Return the resource that opens clients' systems, once per run."""

    @dg.resource(description="The systems of the run's client: TOGA 2, TOGaDesk, the ledger.")
    def systems(context: dg.InitResourceContext) -> Iterator[ClientSystems]:
        with ExitStack() as stack:
            run_id = context.run.run_id if context.run else None
            instance = context.instance

            def mark_told() -> None:
                if run_id is not None and instance is not None:
                    instance.add_run_tags(run_id, {TOLD_TAG: "by its process"})

            yield ClientSystems(
                settings, stack, run_id, context.log.warning if context.log else None, mark_told
            )

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
