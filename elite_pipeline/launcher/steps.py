"""The one table of what the demo runs: which commands, in which environment.

Everything goes through command lines, the sandbox's included, so that whatever the launcher does
can be typed by hand as well.
"""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elite_pipeline import demo
from elite_pipeline.clients import load_registry
from elite_pipeline.launcher.folder import DemoFolder
from elite_pipeline.launcher.ports import LOOPBACK, Port
from elite_pipeline.settings import Settings

#: The job that materializes everything of one client.
EVERYTHING_JOB = "everything"

#: The groups of assets, as the definitions call them.
GROUPS = (
    "toga2",
    "helpdesk",
    "freshservice",
    "reference_data",
    "tickets_to_togadesk",
    "tickets_to_toga2",
    "tickets_from_freshservice",
)

_SANDBOX = (sys.executable, "-m", "elite_pipeline.cli", "sandbox")
_HELPDESK = (*_SANDBOX, "togadesk")
_TOGA2 = (*_SANDBOX, "toga2")
_FRESHSERVICE = (*_SANDBOX, "freshservice")
#: The plan of the sandbox's account, as the demo's registry has it.
_PLAN = "pro"
#: Minutes: for as long as the demo is up.
_A_YEAR = "525600"
#: The client that has Freshservice.
_SERVICE_DESK = "elite"

#: How much is born at each client's helpdesk before the first sync.
_TYPED = ("--tickets", "12", "--replies", "10", "--comments", "6", "--files", "8")

#: Secrets are one variable per client; see ``.env.example``.
_SECRET_SUFFIXES = ("_API_KEY", "_API_SECRET", "_WEBHOOK_SECRET")


@dataclass(frozen=True, slots=True)
class Step:
    """A command that is run to its end when the demo is filled.

    Attributes:
        title: What it does, as a person would say it.
        command: Program and arguments.
    """

    title: str
    command: Sequence[str]


def fill_steps(folder: DemoFolder) -> tuple[Step, ...]:
    """Return what fills an empty demo folder, in order.

    What people type at the helpdesk comes before TOGA 2's data take their time, so that the first run
    finds nothing there that is too young to be carried over.
    """
    helpdesk = ("--url", f"sqlite:///{folder.helpdesk_database}")
    return (
        Step(
            "Making the helpdesk's database",
            (*_HELPDESK, "create", *helpdesk, "--uploads", str(folder.uploads)),
        ),
        Step("Adding what people made there by hand", (*_HELPDESK, "seed", *helpdesk)),
        *(
            Step(
                f"Letting the people of {client.name} type there",
                (
                    *(*_HELPDESK, "type", *helpdesk, "--uploads", str(folder.uploads)),
                    *("--client-id", str(client.togadesk.client_id)),
                    *("--departments", ",".join(map(str, client.monitored_department_ids))),
                    *("--timezone", client.togadesk.timezone),
                    *_TYPED,
                ),
            )
            for client in load_registry(demo.DEMO_REGISTRY).clients.values()
        ),
        Step(
            "Filling TOGA 2 with made-up data",
            (*_TOGA2, "fill", "--data", str(folder.toga2_database)),
        ),
    )


def toga2_command(folder: DemoFolder, port: Port) -> tuple[str, ...]:
    """Return what serves the sandbox's TOGA 2; it listens on loopback only."""
    return (
        *(*_TOGA2, "serve", "--data", str(folder.toga2_database)),
        *("--port", str(port.number)),
    )


def toga2_health_url(port: Port) -> str:
    """Return the address that answers once the sandbox's TOGA 2 is up."""
    return f"http://{LOOPBACK}:{port.number}/_sandbox/health"


def freshservice_command(folder: DemoFolder, port: Port, receiver: Port) -> tuple[str, ...]:
    """Return what serves the sandbox's Freshservice, and tells the receiver of what changes there."""
    return (
        *(*_FRESHSERVICE, "serve", "--data", str(folder.freshservice_database)),
        *("--port", str(port.number), "--plan", _PLAN),
        *("--webhooks-to", f"http://{LOOPBACK}:{receiver.number}/webhook/{{client}}"),
        *("--clients-file", str(demo.DEMO_REGISTRY)),
    )


def traffic_command(port: Port, per_minute: float) -> tuple[str, ...]:
    """Return what lets a service desk work in the sandbox's Freshservice."""
    return (
        *(*_FRESHSERVICE, "traffic", "--port", str(port.number)),
        *("--client", _SERVICE_DESK, "--per-minute", f"{per_minute:g}", "--minutes", _A_YEAR),
    )


def receiver_command(port: Port) -> tuple[str, ...]:
    """Return what receives webhooks."""
    return (
        *(sys.executable, "-m", "elite_pipeline.cli", "webhooks", "serve"),
        *("--host", LOOPBACK, "--port", str(port.number)),
    )


def freshservice_health_url(port: Port) -> str:
    """Return the address that answers once the sandbox's Freshservice is up."""
    return f"http://{LOOPBACK}:{port.number}/_sandbox/accounts"


def receiver_health_url(port: Port) -> str:
    """Return the address that answers once webhooks can be stored."""
    return f"http://{LOOPBACK}:{port.number}/healthz"


def traffic_hint(port: Port) -> str:
    """Return what a person types to let the service desk be busier."""
    program = _short(Path(sys.executable).with_name("elite-pipeline"))
    options = f"--port {port.number} --client {_SERVICE_DESK} --per-minute 60 --minutes 1"
    return f"{program} sandbox freshservice traffic {options}"


def edit_hint(port: Port) -> str:
    """Return what a person types to make changes in the sandbox's TOGA 2."""
    return _hint(port, "toga2 edit", "--client elite --tickets 3 --notes 2 --files 1")


def type_hint(port: Port) -> str:
    """Return what a person types to let people work in both systems."""
    # it goes by the demo's folder, which the other terminal may not know of
    folder = f"DEMO_DIR={shlex.quote(str(demo.demo_dir()))} " if "DEMO_DIR" in os.environ else ""
    return folder + _hint(port, "type", "--client elite")


def _hint(port: Port, command: str, options: str) -> str:
    program = _short(Path(sys.executable).with_name("elite-pipeline"))
    hint = f"{program} sandbox {command} --port {port.number} {options}"
    # where somebody has set up the real thing as well, the command would go by its registry
    chosen = Path("clients.yaml"), Path(".env")
    if "ELITE_PIPELINE_CLIENTS" in os.environ or any(path.exists() for path in chosen):
        hint += f" --clients-file {_short(demo.DEMO_REGISTRY)}"
    return hint


def _short(path: Path) -> Path:
    """Return a path as it is typed in this folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def dagster_command(workspace: Path, port: Port) -> tuple[str, ...]:
    """Return what runs Dagster's page and its daemon."""
    return (
        *(sys.executable, "-m", "dagster", "dev"),
        *("--workspace", str(workspace)),
        *("--host", LOOPBACK, "--port", str(port.number)),
        *("--log-level", "info"),
    )


def demo_environment(
    folder: DemoFolder, *, ports: Sequence[Port], environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment of everything that the demo starts.

    The pipeline's own settings are taken out, secrets included: the demo must not reach a real
    system because its addresses happen to be exported in the terminal. Without settings everything
    runs on the demo's defaults.
    """
    settings = {name.upper() for name in Settings.model_fields}
    kept = {
        name: value
        for name, value in environ.items()
        if name.upper() not in settings and not name.upper().endswith(_SECRET_SUFFIXES)
    }
    return kept | {
        "DEMO_DIR": str(folder.root),
        "DAGSTER_HOME": str(folder.dagster_home),
        # A proxy has no business on loopback.
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
        "PYTHONUNBUFFERED": "1",
        **{port.variable: str(port.number) for port in ports},
    }
