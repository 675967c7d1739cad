"""Settings: what is missing or wrong is named by its variable; secrets appear in no message."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sentry_sdk.utils import Dsn

from elite_pipeline import demo
from elite_pipeline.clients import Client
from elite_pipeline.errors import ConfigurationError
from elite_pipeline.settings import Settings, load_settings
from elite_pipeline_tests.support.systems import demo_client

SECRET = "s3cret-p4ssword"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("TOGA2_PORT", "DEMO_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def client() -> Client:
    return demo_client("elite")


def own(tmp_path: Path, **more: Any) -> Settings:
    """Return settings with a registry of one's own, so that nothing of the demo applies."""
    path = tmp_path / "mine.yaml"
    path.write_text(demo.DEMO_REGISTRY.read_text("utf-8"), "utf-8")
    return Settings(elite_pipeline_clients=path, **more)  # pydantic reads each from its text


def test_a_checkout_without_settings_is_the_demo(tmp_path: Path, client: Client) -> None:
    settings = load_settings()
    assert settings.is_demo
    assert settings.registry.names == ("elite", "wje")
    assert settings.toga2_url == "http://127.0.0.1:8002/v2"
    assert settings.togadesk_url == f"sqlite:///{tmp_path / '.demo' / 'togadesk.sqlite'}"
    assert settings.uploads_dir == tmp_path / ".demo" / "uploads"
    assert settings.pipeline_url == f"sqlite:///{tmp_path / '.demo' / 'elite_pipeline.sqlite'}"
    assert settings.client_logs_url == f"sqlite:///{tmp_path / '.demo' / 'client_logs.sqlite'}"
    given = settings.toga2_credentials(client, {})
    assert given.api_key == demo.demo_credentials("elite").api_key


def test_the_demo_moves_with_its_port_and_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGA2_PORT", "8123")
    monkeypatch.setenv("DEMO_DIR", "/somewhere")
    settings = load_settings()
    assert settings.toga2_url == "http://127.0.0.1:8123/v2"
    assert settings.togadesk_url == "sqlite:////somewhere/togadesk.sqlite"


def test_a_registry_in_the_folder_ends_the_demo(tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(demo.DEMO_REGISTRY.read_text("utf-8"), "utf-8")
    settings = load_settings()
    assert not settings.is_demo
    assert settings.registry_path == Path("clients.yaml")


def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGADESK_DATABASE_URL", "")
    assert load_settings().togadesk_database_url is None


def test_outside_the_demo_nothing_is_guessed(tmp_path: Path, client: Client) -> None:
    settings = own(tmp_path)
    assert settings.toga2_url == "https://api.togahub.com/v2"
    assert settings.client_logs_url is None
    with pytest.raises(ConfigurationError, match=r"^TOGADESK_DATABASE_URL is not set"):
        _ = settings.togadesk_url
    with pytest.raises(ConfigurationError, match=r"^TOGADESK_UPLOADS_DIR is not set"):
        _ = settings.uploads_dir
    with pytest.raises(ConfigurationError, match="ELITE_TOGA2_API_KEY and ELITE_TOGA2_API_SECRET"):
        settings.toga2_credentials(client, {})


def test_the_pipelines_own_tables_lie_beside_dagsters(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings = own(tmp_path, dagster_home=str(home))
    assert settings.pipeline_url == f"sqlite:///{home / 'elite_pipeline.sqlite'}"


def test_what_is_set_is_what_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    # named on purpose: by itself the demo's registry goes with no address that was set
    monkeypatch.setenv("ELITE_PIPELINE_CLIENTS", str(demo.DEMO_REGISTRY))
    monkeypatch.setenv("TOGA2_BASE_URL", "https://toga.example/v2/")
    monkeypatch.setenv("TOGADESK_DATABASE_URL", "mysql+pymysql://u:p@db/ontrack")
    monkeypatch.setenv("TOGADESK_UPLOADS_DIR", "/srv/uploads")
    monkeypatch.setenv("PIPELINE_DATABASE_URL", "sqlite:////srv/own.sqlite")
    settings = load_settings()
    assert settings.toga2_url == "https://toga.example/v2"
    assert settings.togadesk_url == "mysql+pymysql://u:p@db/ontrack"
    assert settings.uploads_dir == Path("/srv/uploads")
    assert settings.pipeline_url == "sqlite:////srv/own.sqlite"


@pytest.mark.parametrize(
    ("environ", "missing", "named"),
    [
        ({"ELITE_TOGA2_API_KEY": SECRET}, "ELITE_TOGA2_API_SECRET", "ELITE_TOGA2_API_KEY"),
        ({"ELITE_TOGA2_API_SECRET": SECRET}, "ELITE_TOGA2_API_KEY", "ELITE_TOGA2_API_SECRET"),
        (
            {"ELITE_TOGA2_API_KEY": SECRET, "ELITE_TOGA2_API_SECRET": "  "},
            "ELITE_TOGA2_API_SECRET",
            "ELITE_TOGA2_API_KEY",
        ),
    ],
)
def test_half_of_the_credentials_is_a_mistake_in_the_demo_too(
    environ: Mapping[str, str], missing: str, named: str, client: Client
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings().toga2_credentials(client, environ)
    assert f"'elite': {missing} not set" in str(caught.value)
    assert named not in str(caught.value)
    assert SECRET not in str(caught.value)


def test_credentials_come_from_the_clients_own_variables(tmp_path: Path, client: Client) -> None:
    environ = {"ELITE_TOGA2_API_KEY": " key ", "ELITE_TOGA2_API_SECRET": SECRET}
    given = own(tmp_path).toga2_credentials(client, environ)
    assert (given.api_key, given.api_secret) == ("key", SECRET)
    assert SECRET not in repr(given)
    assert SECRET not in str(given)


@pytest.mark.parametrize(
    "url",
    [
        "api.togahub.com/v2",
        "ftp://api.togahub.com",
        "https://",
        "https:///v2",
        "http://[::1/v2",
        "http://host:port/v2",
        "http://host:99999/v2",
        f"not a url {SECRET}",
    ],
)
def test_an_address_that_is_none_is_named_by_its_variable(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TOGA2_BASE_URL: expected an http") as caught:
        _ = own(tmp_path, toga2_base_url=url).toga2_url
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://key:{SECRET}@toga.example/v2",
        f"https://{SECRET}@toga.example/v2",
        f"https://toga.example/v2?key={SECRET}",
        f"https://toga.example/v2#{SECRET}",
    ],
)
def test_an_address_with_credentials_is_refused_without_repeating_them(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(ConfigurationError, match="without credentials") as caught:
        _ = own(tmp_path, toga2_base_url=url).toga2_url
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        SECRET,
        f"{SECRET}@sentry.example/1",
        "https://sentry.example/1",
        f"ftp://{SECRET}@sentry.example/1",
        f"https://{SECRET}@/1",
        f"https://{SECRET}@sentry.example/",
        f"https://{SECRET}@sentry.example/project",
        f"https://{SECRET}@sentry.example:port/1",
        f"https://{SECRET}@[::1/1",
    ],
)
def test_a_sentry_address_that_is_none_is_named_by_its_variable(dsn: str) -> None:
    settings = Settings(sentry_dsn=SecretStr(dsn))
    with pytest.raises(ConfigurationError, match=r"^SENTRY_DSN: expected the address") as caught:
        _ = settings.sentry_address
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("dsn", ["https://key@o1.sentry.example/12", "http://k:s@host:9000/sub/3"])
def test_a_sentry_address_is_taken_as_it_is(dsn: str) -> None:
    assert Dsn(dsn).project_id
    assert Settings(sentry_dsn=SecretStr(dsn)).sentry_address == dsn
    assert Settings().sentry_address is None


def test_settings_do_not_show_their_secrets() -> None:
    settings = Settings(
        togadesk_database_url=SecretStr(f"mysql+pymysql://u:{SECRET}@db/x"),
        pipeline_database_url=SecretStr(f"mysql+pymysql://u:{SECRET}@db/y"),
        sentry_dsn=SecretStr(f"https://{SECRET}@sentry.example/1"),
    )
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)


def _basic(pair: str) -> str:
    return base64.b64encode(pair.encode()).decode()


def test_every_secret_of_the_process_is_known_for_redaction() -> None:
    settings = Settings(
        togadesk_database_url=SecretStr("mysql+pymysql://u:desk%40pass@db/x"),
        client_logs_database_url=SecretStr("mysql+pymysql://u:logpass@db/x"),
        pipeline_database_url=SecretStr("mysql+pymysql://db/x?user=u&password=given%2Fhere"),
        sentry_dsn=SecretStr("https://dsnkey@sentry.example/1"),
    )
    known = settings.secret_values(
        {
            "ELITE_TOGA2_API_KEY": "elite-key",
            "ELITE_TOGA2_API_SECRET": "elite-secret",
            "WJE_TOGA2_API_SECRET": "wje-secret",
            "ELITE_WEBHOOK_SECRET": "hook",
            "ELITE_FRESHSERVICE_API_KEY": "fresh",
            "PATH": "/bin",
            "EMPTY_API_KEY": "",
        }
    )
    assert {"elite-key", "wje-secret", "hook", "fresh", "logpass"} <= known
    # as it stands in the address, and as it is
    assert {"desk%40pass", "desk@pass", "given/here"} <= known
    assert {"https://dsnkey@sentry.example/1", "dsnkey"} <= known
    # as HTTP Basic sends them; Freshservice takes any password beside its key
    assert {_basic("elite-key:elite-secret"), _basic("fresh:X"), _basic("fresh:")} <= known
    assert not {"", "/bin"} & known


def test_a_missing_registry_is_one_message(tmp_path: Path) -> None:
    settings = Settings(elite_pipeline_clients=tmp_path / "absent.yaml")
    with pytest.raises(ConfigurationError, match=r"absent\.yaml cannot be read"):
        _ = settings.registry


def test_the_secret_of_webhooks_comes_from_the_environment_or_is_the_demos(
    tmp_path: Path, client: Client
) -> None:
    given = {"ELITE_WEBHOOK_SECRET": " s3cret "}
    real = own(tmp_path)
    assert real.webhook_secret(client, given) == "s3cret"
    missing: Mapping[str, str]
    for missing in ({}, {"ELITE_WEBHOOK_SECRET": " "}):
        with pytest.raises(ConfigurationError, match="ELITE_WEBHOOK_SECRET not set"):
            real.webhook_secret(client, missing)
        assert Settings().webhook_secret(client, missing) == demo.demo_webhook_secret("elite")
    assert Settings().webhook_secret(client, given) == "s3cret"
