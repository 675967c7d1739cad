"""What ``deploy/`` says, as far as it can be read: the rest is run by ``e2e/test_deployment``."""

import fnmatch
import re
from pathlib import Path
from typing import Any

import yaml

from elite_pipeline_tests.support.deployment import CHECKOUT, DEPLOY, compose, image_environment

#: What is different in production.
_OWN = {"storage", "compute_logs"}


def _settings(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def test_instance_in_production_is_that_of_one_machine_but_for_where_it_keeps_things() -> None:
    own = _settings(DEPLOY / "dagster.yaml")
    assert set(own) >= _OWN
    assert {name: own[name] for name in own if name not in _OWN} == _settings(
        CHECKOUT / "dagster.yaml"
    )


def test_only_who_needs_the_clients_secrets_has_them() -> None:
    services = compose()["services"]
    with_secrets = {name for name, one in services.items() if "pipeline.env" in one["env_file"]}
    assert with_secrets == {"setup", "code", "webhooks"}
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    # nobody can ask the code server or Postgres for anything from outside
    assert services["postgres"]["networks"] == ["dagster"]
    assert compose()["networks"]["dagster"] == {"internal": True}


def test_every_variable_that_a_service_needs_is_set_somewhere() -> None:
    services = compose()["services"]
    written = (DEPLOY / "dagster.env.example").read_text(encoding="utf-8")
    in_file = {line.split("=")[0] for line in written.splitlines() if re.match(r"[A-Z_]+=", line)}
    asked = {
        name
        for file in ("dagster.yaml", "workspace.yaml")
        for name in re.findall(r"env: ([A-Z_]+)", (DEPLOY / file).read_text(encoding="utf-8"))
    }
    for name in ("setup", "code", "webserver", "daemon"):
        given = in_file | set(services[name]["environment"]) | set(image_environment())
        assert asked <= given, name


def test_image_gets_what_it_is_made_of_and_no_secret() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        source
        for words in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for source in words.split()
    }
    assert copied == let_in
    for source in copied:
        assert (CHECKOUT / source).exists(), source
    for secret in (".env", "clients.yaml", "deploy/pipeline.env", "deploy/dagster.env"):
        assert not any(fnmatch.fnmatch(secret, pattern) for pattern in let_in)


def test_image_is_locked() -> None:
    locked = (CHECKOUT / "requirements-postgres.lock").read_text(encoding="utf-8")
    versions = dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==(\S+)", locked, re.MULTILINE))
    assert {"dagster", "dagster-postgres", "psycopg2-binary", "setuptools"} <= set(versions)
    # and is what the tests ran with
    tested = (CHECKOUT / "requirements-dev.lock").read_text(encoding="utf-8")
    for name, version in versions.items():
        assert re.search(rf"^{name}(\[[^]]*\])?=={re.escape(version)}\b", tested, re.MULTILINE), (
            name
        )
