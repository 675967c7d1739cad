"""What lies around the systems: the registry, the file of secrets, Sentry, Dagster."""

import os
import stat
from pathlib import Path

from elite_pipeline.assembly import require_a_demo
from elite_pipeline.clients import Client
from elite_pipeline.doctor.findings import Notes
from elite_pipeline.doctor.needs import flows_on
from elite_pipeline.settings import Settings

#: What the example of the settings has in place of secrets.
_PLACEHOLDERS = ("replace-me", "00000000-0000-0000-0000-000000000000")
_SECRETS = ("_TOGA2_API_KEY", "_TOGA2_API_SECRET", "_FRESHSERVICE_API_KEY", "_WEBHOOK_SECRET")


def look_at_registry(notes: Notes, settings: Settings) -> tuple[str, ...] | None:
    """Look at the registry; return its clients' names, broken ones too. None: there is none."""
    with notes.guard("registry.file"):
        registry = settings.registry
        names = tuple(dict.fromkeys((*registry.names, *registry.problems)))
        broken = len(registry.problems)
        if settings.is_demo:
            require_a_demo(settings)
            notes.note(
                "registry.file", "nothing is set and there is no clients.yaml: this is the demo"
            )
        notes.ok(
            "registry.file",
            f"{registry.source}: {_counted(len(names), 'client')}"
            + (f", {broken} of them broken" if broken else ""),
        )
        return names
    return None


def look_at_entry(notes: Notes, settings: Settings, name: str) -> Client | None:
    """Look at a client's entry in the registry; None: it cannot be used."""
    with notes.guard("registry.entry"):
        client = settings.registry.get(name)
        on = flows_on(client)
        if on:
            notes.ok("registry.entry", f"switched on: {', '.join(on)}")
        else:
            notes.warning(
                "registry.entry", "no flow is switched on: nothing is done for this client"
            )
        _look_for_placeholders(notes, client)
        return client
    return None


def _look_for_placeholders(notes: Notes, client: Client) -> None:
    for ending in _SECRETS:
        variable = f"{client.environment_prefix}{ending}"
        if os.environ.get(variable, "").strip() in _PLACEHOLDERS:
            notes.wrong(
                "settings.secrets",
                f"{variable} still is what the example says: put the client's own there (.env.example)",
            )


def look_at_secrets_file(notes: Notes, folder: Path) -> None:
    """Look at who may read the file of secrets that the command line reads."""
    path = folder / ".env"
    with notes.guard("settings.file"):
        if not path.is_file():
            notes.note("settings.file", f"no {path}: settings are the environment's alone")
            return
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            notes.warning(
                "settings.file",
                f"{path} holds secrets, and others than its owner may use it (mode {mode:04o}): "
                f"chmod 600 {path}",
            )
        else:
            notes.ok("settings.file", f"{path} is its owner's alone")


def look_at_sentry(notes: Notes, settings: Settings) -> None:
    """Look at where failures are told."""
    with notes.guard("sentry.dsn"):
        if settings.sentry_address is None:
            notes.note("sentry.dsn", "SENTRY_DSN is not set: failures are told nobody")
        else:
            notes.ok("sentry.dsn", "SENTRY_DSN is an address of Sentry's (nothing was sent)")


def look_at_dagster(notes: Notes, settings: Settings) -> None:
    """Look at where Dagster keeps its runs; without importing it."""
    with notes.guard("dagster.home"):
        home = settings.dagster_home
        if home is None:
            if settings.is_demo:
                notes.note("dagster.home", "the demo sets DAGSTER_HOME by itself")
                return
            notes.warning(
                "dagster.home",
                "DAGSTER_HOME is not set: what Dagster knows of runs and cursors goes when it ends; set "
                "it to a folder with a copy of dagster.yaml",
            )
        elif not home.is_absolute():
            notes.wrong("dagster.home", f"DAGSTER_HOME ({home}) must be an absolute path")
        elif not home.is_dir():
            notes.wrong("dagster.home", f"DAGSTER_HOME: there is no folder {home}: make it")
        elif not os.access(home, os.W_OK | os.X_OK):
            notes.wrong("dagster.home", f"DAGSTER_HOME: this user may not write to {home}")
        elif not (home / "dagster.yaml").is_file():
            notes.warning(
                "dagster.home",
                f"{home} has no dagster.yaml: put a copy of the project's there, else runs of one client "
                "and flow queue up without limits and dead runs are never ended",
            )
        else:
            notes.ok("dagster.home", f"{home} has a dagster.yaml")


def _counted(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number} {what}s"
