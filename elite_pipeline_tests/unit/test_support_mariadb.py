"""The harness itself: what it says when there is no server."""

from pathlib import Path

import pytest

from elite_pipeline_tests.support import mariadb


def test_a_missing_server_fails_and_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mariadb, "_FOLDERS", ())
    with pytest.raises(pytest.fail.Exception) as caught:
        mariadb.find_binary("mariadbd", "mysqld")
    message = str(caught.value)
    for part in ("mariadbd was found neither", "apt-get", "dnf", "apk", "brew", "TEST_MYSQL_URL"):
        assert part in message


def test_a_program_outside_of_path_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(mariadb, "_FOLDERS", (str(tmp_path),))
    assert mariadb.find_binary("mariadbd", "mysqld") == program


def test_ports_are_free_ones() -> None:
    assert 1024 < mariadb.free_port() < 65536
