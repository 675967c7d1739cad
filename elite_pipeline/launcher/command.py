"""What an operator types: ``elite-pipeline demo`` and ``elite-pipeline demo-reset``."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

import elite_pipeline
from elite_pipeline import demo as made_up
from elite_pipeline.clients import load_registry
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.help_texts import taught
from elite_pipeline.launcher import steps
from elite_pipeline.launcher.dagster_page import DagsterPage, DagsterPageError, Location
from elite_pipeline.launcher.folder import DemoFolder
from elite_pipeline.launcher.ports import LOOPBACK, Port, check_ports, read_port
from elite_pipeline.launcher.supervisor import Child, StopRequestedError, Supervisor

#: How long a first start may take on a slow machine, in seconds.
_START_TIMEOUT = 180.0


@click.command(
    "demo",
    epilog=taught(
        ("Start it, and look at http://127.0.0.1:3000", "demo"),
    ),
)
def demo() -> None:
    """Start the sandbox and Dagster on this machine, with made-up data; Ctrl-C ends it all."""
    toga2 = read_port("TOGA2_PORT", "the sandbox's TOGA 2", made_up.DEFAULT_TOGA2_PORT)
    freshservice = read_port(
        "FRESHSERVICE_PORT", "the sandbox's Freshservice", made_up.DEFAULT_FRESHSERVICE_PORT
    )
    webhooks = read_port("WEBHOOKS_PORT", "the receiver of webhooks", made_up.DEFAULT_WEBHOOKS_PORT)
    dagster = read_port("DAGSTER_PORT", "Dagster's page", made_up.DEFAULT_DAGSTER_PORT)
    ports = _Ports(toga2, freshservice, webhooks, dagster)
    traffic = made_up.traffic_per_minute()
    workspace, instance = _checkout_file("workspace.yaml"), _checkout_file("dagster.yaml")
    folder = DemoFolder(made_up.demo_dir())
    with folder.locked() as lock:
        check_ports((dagster, toga2))
        with Supervisor(hold_fds=(lock,)) as supervisor:
            try:
                launch = _Launch(folder, supervisor, ports, traffic)
                launch.prepare(instance)
                launch.start(workspace)
                supervisor.watch()
            except StopRequestedError:
                click.echo("\nStopping before everything was up …")
            else:
                click.echo("\nStopping …")
        click.echo(f"Stopped. The data stay in {folder.root}; `make demo` goes on from there.")


@click.command("demo-reset", epilog=taught(("Start over", "demo-reset")))
def demo_reset() -> None:
    """Remove the demo's data, so that the next demo starts over."""
    folder = DemoFolder(made_up.demo_dir())
    if not folder.root.exists():
        click.echo(f"There is nothing to remove: {folder.root} does not exist.")
        return
    with folder.locked():
        folder.remove()
    click.echo(f"Removed the demo's data from {folder.root}.")


@dataclass(frozen=True, slots=True)
class _Ports:
    """Where the demo listens."""

    toga2: Port
    freshservice: Port
    webhooks: Port
    dagster: Port


class _Launch:
    """One start of the demo, step by step."""

    def __init__(
        self, folder: DemoFolder, supervisor: Supervisor, ports: _Ports, traffic: float
    ) -> None:
        self._folder = folder
        self._supervisor = supervisor
        self._ports = ports
        self._traffic = traffic
        self._environ = steps.demo_environment(
            folder, ports=(ports.toga2, ports.freshservice, ports.webhooks, ports.dagster)
        )
        self._page = DagsterPage(f"http://{LOOPBACK}:{ports.dagster.number}")
        # The lock is held and nothing is started yet: no run of this folder is alive now.
        self._begun = time.time()

    def prepare(self, instance: Path) -> None:
        """Fill the folder if it isn't complete, and bring Dagster's settings up to date."""
        if not self._folder.is_filled:
            self._folder.clear()
            for number, step in enumerate(steps.fill_steps(self._folder)):
                click.echo(f"{step.title} (first start only) …")
                self._supervisor.run(self._child(f"fill-{number}", step.title, step.command))
            self._folder.mark_filled()
        self._folder.prepare_dagster_home(instance)

    def start(self, workspace: Path) -> None:
        """Start both servers, wait until they answer, and say where to look."""
        ports = self._ports
        click.echo("Starting the sandbox's TOGA 2 and Freshservice, and the receiver of webhooks …")
        receiver = self._child(
            "webhooks", "The receiver of webhooks", steps.receiver_command(ports.webhooks)
        )
        toga2 = self._child(
            "toga2", "The sandbox's TOGA 2", steps.toga2_command(self._folder, ports.toga2)
        )
        freshservice = self._child(
            "freshservice",
            "The sandbox's Freshservice",
            steps.freshservice_command(self._folder, ports.freshservice, ports.webhooks),
        )
        # Dagster takes longest: it loads while the others come up.
        dagster = self._child("dagster", "Dagster", steps.dagster_command(workspace, ports.dagster))
        started = (
            (receiver, steps.receiver_health_url(ports.webhooks)),
            (toga2, steps.toga2_health_url(ports.toga2)),
            (freshservice, steps.freshservice_health_url(ports.freshservice)),
            (dagster, self._page.health_url),
        )
        for child, _ in started:
            if child is dagster:
                click.echo("Starting Dagster (this takes some seconds) …")
            self._supervisor.start(child)
        for child, url in started:
            self._supervisor.wait_until_healthy(child.name, url, timeout_seconds=_START_TIMEOUT)
        first = not self._folder.first_runs_submitted
        location = self._loaded_location()
        lost = self._page.cancel_lost_runs(before=self._begun)
        if lost:
            click.echo(f"Marked {lost} run(s) as canceled that the last stop cut short.")
        if first:
            self._submit_first_runs(location)
        click.echo(self._summary(under_way=first))
        if self._traffic:
            # only now: what people do from here on is told to somebody who stores it
            command = steps.traffic_command(ports.freshservice, self._traffic)
            self._supervisor.start(self._child("traffic", "The service desk", command))

    def _loaded_location(self) -> Location:
        deadline = time.monotonic() + _START_TIMEOUT
        while (location := self._page.location()) is None:
            if time.monotonic() > deadline:
                raise DagsterPageError(
                    f"Dagster did not load the definitions within {_START_TIMEOUT:.0f} seconds; "
                    f"see {self._folder.logs / 'dagster.log'}."
                )
            self._supervisor.pause()
        return location

    def _submit_first_runs(self, location: Location) -> None:
        for client in load_registry(made_up.DEMO_REGISTRY).names:
            self._page.launch(location, steps.EVERYTHING_JOB, partition=client)
        self._folder.mark_first_runs_submitted()

    def _child(self, log: str, name: str, command: Sequence[str]) -> Child:
        return Child(
            name=name,
            command=command,
            environ=self._environ,
            # Not the checkout: Dagster would read a real .env there, and the pipeline a real
            # clients.yaml.
            cwd=self._folder.root,
            log=self._folder.logs / f"{log}.log",
        )

    def _summary(self, *, under_way: bool) -> str:
        clients = " and ".join(load_registry(made_up.DEMO_REGISTRY).names)
        now = (
            f"Everything of {clients} is being synced for the first time: {self._page.url}/runs"
            if under_way
            else f"Schedules go on syncing {clients}: {self._page.url}/runs"
        )
        return f"""
The demo is up.

  Dagster       {self._page.url}
  TOGA 2        http://{LOOPBACK}:{self._ports.toga2.number}/v2 (the sandbox)
  Freshservice  http://{LOOPBACK}:{self._ports.freshservice.number}/api/v2 (the sandbox, of elite)
  Webhooks      http://{LOOPBACK}:{self._ports.webhooks.number}/webhook/elite
  Helpdesk      {self._folder.helpdesk_database} (SQLite)
  Uploads       {self._folder.uploads}
  Call log      {self._folder.call_log_database} (SQLite)
  Logs          {self._folder.logs}

{now}
A sensor syncs what changes in tickets within seconds, schedules the rest every five minutes. What
happens in Freshservice, where somebody is at work all the time, is in TOGA 2 within seconds:
  {self._page.url}/asset-groups
Lineage, all groups open:
  {self._page.lineage_url(steps.GROUPS)}

To see things flow, let people type in both systems for two minutes (--client wje: the other one):
  {steps.type_hint(self._ports.toga2)}
or let the service desk on Freshservice be busy for a minute:
  {steps.traffic_hint(self._ports.freshservice)}
or make some changes in TOGA 2 alone; the next of those runs brings them over:
  {steps.edit_hint(self._ports.toga2)}

Ctrl-C stops everything and keeps the data; `make demo-reset` starts over.
"""


def _checkout_file(name: str) -> Path:
    path = Path(elite_pipeline.__file__).parent.parent / name
    if not path.is_file():
        raise ConfigurationError(
            f"The demo runs from a checkout, and there is no {path}. "
            "Clone the project and run `make demo` there."
        )
    return path
