"""Connections to a server that offers TLS: taken where it is there, and checked where that is asked for.

All other tests do without, because agreeing on a key takes longer than most of their statements.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from elite_pipeline.errors import PipelineError
from elite_pipeline.sandbox.togadesk.database import create_database
from elite_pipeline.togadesk import connect
from elite_pipeline_tests.support.helpdesks import Helpdesk
from elite_pipeline_tests.support.mariadb import STRICT, PrivateServer, make_template

pytestmark = pytest.mark.server


def certify(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for this machine that nobody else has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    where = folder / f"{name}.pem", folder / f"{name}.key"
    where[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    where[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return where


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> tuple[Path, Path]:
    return certify(folder, "server")


@pytest.fixture
def url(folder: Path, certificate: tuple[Path, Path]) -> Iterator[sa.URL]:
    """Return the address of an empty database of a server that offers TLS."""
    if not (template := folder / "template").exists():
        make_template(folder)
    options = [f"--ssl-cert={certificate[0]}", f"--ssl-key={certificate[1]}"]
    with (
        closing(PrivateServer(folder / "server", template, STRICT, options)) as server,
        server.database() as database,
    ):
        yield database.set(query={})


def cipher(url: sa.URL) -> str:
    """Return what a store's own connection to a server is encrypted with; empty: nothing."""
    text = url.render_as_string(hide_password=False)
    engine = connect(text)
    helpdesk = Helpdesk("", engine, text, "modern", True, None)
    try:
        create_database(engine, "modern")
        with helpdesk.store() as store, store.lock("a flow", 0):
            store.run(lambda tx: tx.insert("models", [{"name": "Printer"}]))
        assert helpdesk.rows("SELECT name FROM models") == [("Printer",)]
        return str(helpdesk.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")[0][1])
    finally:
        engine.dispose()


def test_offered_it_is_taken_without_being_asked_for(url: sa.URL) -> None:
    assert cipher(url)


def test_it_can_be_declined(url: sa.URL) -> None:
    assert cipher(url.set(query={"ssl_disabled": "true"})) == ""


def test_certificate_is_checked_where_the_address_says_by_whom(
    url: sa.URL, folder: Path, certificate: tuple[Path, Path]
) -> None:
    assert cipher(url.set(query={"ssl_ca": str(certificate[0])}))

    other, _ = certify(folder, "other")
    text = url.set(query={"ssl_ca": str(other)}).render_as_string(hide_password=False)
    engine = connect(text)
    helpdesk = Helpdesk("", engine, text, "modern", True, None)
    with helpdesk.store() as store, pytest.raises(PipelineError) as caught:
        store.run(lambda tx: tx.highest_id("models"))
    engine.dispose()
    assert "certificate" in str(caught.value).lower()
