"""Process-wide settings, and each client's secrets, from the environment and nowhere else.

Without any settings a checkout runs on the demo (``demo``): its registry, its sandbox on loopback
and SQLite files in its folder. With a registry, nothing is guessed: what a run needs and does not
find is one message that names the variable.

What does not belong here: what differs by client and is not secret (``clients``).
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from elite_pipeline import demo
from elite_pipeline.clients import Client, Registry, load_registry
from elite_pipeline.errors import ConfigurationError

#: The production address [D]; ``spec/systems.md`` section 2.
TOGA2_PRODUCTION_URL = "https://api.togahub.com/v2"


def default_registry() -> Path:
    """Return the registry where none is set: ./clients.yaml if it is there, else the demo's."""
    local = Path("clients.yaml")
    return local if local.exists() else demo.DEMO_REGISTRY


@dataclass(frozen=True, slots=True, repr=False)
class Toga2Credentials:
    """API key and secret of one client. Never printed: the representation is blank."""

    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return "Toga2Credentials(***)"


class Settings(BaseSettings):
    """The environment variables, one field each. Read once per process by :func:`load_settings`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    elite_pipeline_clients: Path | None = Field(
        default=None, description="Path of clients.yaml; default: ./clients.yaml, else the demo's."
    )
    toga2_base_url: str | None = Field(default=None, description="TOGA 2, up to and with /v2.")
    togadesk_database_url: SecretStr | None = Field(
        default=None, description="The helpdesk's database, as an SQLAlchemy URL."
    )
    togadesk_uploads_dir: Path | None = Field(
        default=None, description="The helpdesk's uploads folder."
    )
    pipeline_database_url: SecretStr | None = Field(
        default=None, description="The pipeline's own tables, as an SQLAlchemy URL."
    )
    client_logs_database_url: SecretStr | None = Field(
        default=None, description="Where ClientLogs.Api lives, as an SQLAlchemy URL."
    )
    sentry_dsn: SecretStr | None = Field(default=None, description="Off when not set.")
    dagster_home: Path | None = None
    housekeeping_run_days: int = Field(
        default=30, ge=1, description="Finished runs of Dagster and their logs go after this."
    )
    housekeeping_webhook_days: int = Field(
        default=90, ge=1, description="Webhooks that are DONE go after this."
    )
    housekeeping_dead_webhook_days: int | None = Field(
        default=None, ge=1, description="Webhooks that are DEAD go after this; default: never."
    )
    housekeeping_call_days: int | None = Field(
        default=None, ge=1, description="Calls in the call log go after this; default: never."
    )

    @cached_property
    def registry_path(self) -> Path:
        """The registry in force: the one set, else ./clients.yaml, else the demo's.

        Raises:
            ConfigurationError: There is none, and something is set that is meant for a real one: the
                demo's made-up people must not get into a real helpdesk.
        """
        if self.elite_pipeline_clients is not None:
            return self.elite_pipeline_clients
        default = default_registry()
        if default != demo.DEMO_REGISTRY:
            return default
        meant = self._set_for_a_real_registry()
        if meant:
            raise ConfigurationError(
                f"{', '.join(meant)} set, but there is no registry: no clients.yaml in {Path.cwd()} "
                "and no ELITE_PIPELINE_CLIENTS. Set ELITE_PIPELINE_CLIENTS to your registry, run "
                "where it lies, or unset these to use the demo. Nothing was done."
            )
        return default

    def _set_for_a_real_registry(self) -> list[str]:
        fields = (
            "toga2_base_url",
            "togadesk_database_url",
            "togadesk_uploads_dir",
            "pipeline_database_url",
            "client_logs_database_url",
        )
        named = [name.upper() for name in fields if getattr(self, name) is not None]
        credentials = (
            "_TOGA2_API_KEY",
            "_TOGA2_API_SECRET",
            "_FRESHSERVICE_API_KEY",
            "_WEBHOOK_SECRET",
        )
        return named + sorted(
            name for name, text in os.environ.items() if text and name.endswith(credentials)
        )

    @property
    def is_demo(self) -> bool:
        """Whether no registry is configured, so that the demo's defaults apply."""
        return self.registry_path == demo.DEMO_REGISTRY

    @cached_property
    def registry(self) -> Registry:
        """The clients.

        Raises:
            ConfigurationError: The registry file is missing or broken as a whole.
        """
        return load_registry(self.registry_path)

    @property
    def toga2_url(self) -> str:
        """TOGA 2's base URL without a trailing slash.

        Raises:
            ConfigurationError: It is not an http(s) URL, or holds credentials.
        """
        default = (
            f"http://127.0.0.1:{demo.toga2_port()}/v2" if self.is_demo else TOGA2_PRODUCTION_URL
        )
        url = self.toga2_base_url or default
        try:
            parts = urlsplit(url)
            is_address = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half an IPv6 address
            is_address = False
        if not is_address:
            raise ConfigurationError(
                f"TOGA2_BASE_URL: expected an http or https address such as {TOGA2_PRODUCTION_URL}."
            ) from None
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigurationError(
                "TOGA2_BASE_URL: expected an address without credentials, query or fragment; "
                "credentials come from <CLIENT>_TOGA2_API_KEY and <CLIENT>_TOGA2_API_SECRET."
            )
        return url.rstrip("/")

    @property
    def sentry_address(self) -> str | None:
        """Where failures are reported, key included: never log it. None: nowhere.

        Raises:
            ConfigurationError: It is not an address that Sentry gives out.
        """
        if self.sentry_dsn is None:
            return None
        dsn = self.sentry_dsn.get_secret_value()
        try:
            parts = urlsplit(dsn)
            project = parts.path.rpartition("/")[2]
            is_dsn = (
                parts.scheme in {"http", "https"}
                and parts.hostname
                and parts.username
                and parts.port != 0
                and project.isascii()
                and project.isdecimal()
            )
        except ValueError:  # a port that is no number, half an IPv6 address
            is_dsn = False
        if not is_dsn:
            raise ConfigurationError(
                "SENTRY_DSN: expected the address that Sentry shows for the project, such as "
                "https://key@host/1, or nothing."
            ) from None
        return dsn

    @property
    def togadesk_url(self) -> str:
        """The helpdesk database's URL, password included: never log it.

        Raises:
            ConfigurationError: Not set, outside the demo.
        """
        if self.togadesk_database_url is not None:
            return self.togadesk_database_url.get_secret_value()
        if self.is_demo:
            return f"sqlite:///{demo.demo_dir() / 'togadesk.sqlite'}"
        raise ConfigurationError(
            "TOGADESK_DATABASE_URL is not set. Set it to the helpdesk's database, "
            "e.g. mysql+pymysql://user:password@host/ontrack (.env.example explains it)."
        )

    @property
    def uploads_dir(self) -> Path:
        """The helpdesk's uploads folder.

        Raises:
            ConfigurationError: Not set, outside the demo.
        """
        if self.togadesk_uploads_dir is not None:
            return self.togadesk_uploads_dir
        if self.is_demo:
            return demo.demo_dir() / "uploads"
        raise ConfigurationError(
            "TOGADESK_UPLOADS_DIR is not set. Set it to the helpdesk's uploads folder."
        )

    @property
    def pipeline_url(self) -> str:
        """The database of the pipeline's own tables; by default a SQLite file beside Dagster's."""
        if self.pipeline_database_url is not None:
            return self.pipeline_database_url.get_secret_value()
        folder = demo.demo_dir() if self.is_demo else (self.dagster_home or Path()).absolute()
        return f"sqlite:///{folder / 'elite_pipeline.sqlite'}"

    @property
    def client_logs_url(self) -> str | None:
        """The call log's database, password included: never log it. None: calls are not logged.

        The demo logs into a file of its own, unless its helpdesk was moved elsewhere.
        """
        if self.client_logs_database_url is not None:
            return self.client_logs_database_url.get_secret_value()
        if self.is_demo and self.togadesk_database_url is None:
            return f"sqlite:///{demo.demo_dir() / 'client_logs.sqlite'}"
        return None

    def toga2_credentials(
        self, client: Client, environ: Mapping[str, str] = os.environ
    ) -> Toga2Credentials:
        """Return a client's credentials for TOGA 2.

        Raises:
            ConfigurationError: A variable is missing; it names each.
        """
        names = [f"{client.environment_prefix}_TOGA2_API_{part}" for part in ("KEY", "SECRET")]
        values = [environ.get(name, "").strip() for name in names]
        if all(values):
            return Toga2Credentials(*values)
        if self.is_demo and not any(values):
            made_up = demo.demo_credentials(client.name)
            return Toga2Credentials(made_up.api_key, made_up.api_secret)
        missing = " and ".join(name for name, value in zip(names, values, strict=True) if not value)
        raise ConfigurationError(
            f"Client {client.name!r}: {missing} not set. Put the client's TOGA 2 API key and "
            "secret into the environment (.env.example explains them)."
        )

    def freshservice_api_url(self, client: Client) -> str:
        """Return a client's Freshservice API, up to and with the version; the demo's is the sandbox.

        Raises:
            ConfigurationError: The client has none.
        """
        if client.freshservice is None:
            raise ConfigurationError(
                f"Client {client.name!r} has no section freshservice in the registry. Add it with "
                "base_url and webhook_action (clients.example.yaml explains it)."
            )
        if self.is_demo:
            return f"http://127.0.0.1:{demo.freshservice_port()}/api/v2"
        return client.freshservice.api_url

    def freshservice_api_key(self, client: Client, environ: Mapping[str, str] = os.environ) -> str:
        """Return the key with which a client's Freshservice is read.

        Raises:
            ConfigurationError: It is not set, outside the demo; the message names the variable.
        """
        name = f"{client.environment_prefix}_FRESHSERVICE_API_KEY"
        if key := environ.get(name, "").strip():
            return key
        if self.is_demo:
            return demo.demo_freshservice_key(client.name)
        raise ConfigurationError(
            f"Client {client.name!r}: {name} not set. Put the API key of an agent of the client's "
            "Freshservice into the environment (.env.example explains it)."
        )

    def webhook_secret(self, client: Client, environ: Mapping[str, str] = os.environ) -> str:
        """Return the secret that a client's webhooks must carry.

        Raises:
            ConfigurationError: It is not set, outside the demo; the message names the variable.
        """
        name = f"{client.environment_prefix}_WEBHOOK_SECRET"
        if secret := environ.get(name, "").strip():
            return secret
        if self.is_demo:
            return demo.demo_webhook_secret(client.name)
        raise ConfigurationError(
            f"Client {client.name!r}: {name} not set. Put the secret that its webhooks carry into the "
            "environment (.env.example explains it)."
        )

    def secret_values(self, environ: Mapping[str, str] = os.environ) -> frozenset[str]:
        """Return every secret known to this process, for redaction, also as HTTP Basic sends it."""
        found: set[str] = set()
        for name, value in environ.items():
            if not name.endswith(("_API_KEY", "_API_SECRET", "_WEBHOOK_SECRET")):
                continue
            found |= {value, value.strip()}
            if name.endswith("_API_KEY"):
                # Freshservice takes a key as the user, with any password
                partner = environ.get(f"{name.removesuffix('_KEY')}_SECRET", "")
                found |= {_as_basic(value.strip(), other) for other in (partner.strip(), "X", "")}
        for url in (
            self.togadesk_database_url,
            self.pipeline_database_url,
            self.client_logs_database_url,
            self.sentry_dsn,
        ):
            if url is not None:
                found |= _secrets_of(url.get_secret_value())
        if self.sentry_dsn is not None:
            # the key of a DSN stands where others have their user
            found.add(urlsplit(self.sentry_dsn.get_secret_value()).username or "")
        return frozenset(secret for secret in found if secret.strip())


def _as_basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode("ascii") if user else ""


def _secrets_of(url: str) -> set[str]:
    parts = urlsplit(url)
    password = parts.password or ""
    # a driver takes its password behind the question mark too
    given = [value for name, value in parse_qsl(parts.query) if "pass" in name.lower()]
    return {url, password, unquote(password), unquote_plus(password), *given}


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        ConfigurationError: A variable has a value of the wrong kind.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc'])).upper()}: {detail['msg']}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"The environment holds a wrong setting: {wrong}") from None
