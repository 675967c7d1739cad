"""The walls between the rooms, kept by import-linter (``[tool.importlinter]`` in pyproject.toml)."""

from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports


def test_no_wall_is_broken(capsys: pytest.CaptureFixture[str]) -> None:
    config = Path(__file__).parents[2] / "pyproject.toml"

    status = lint_imports(config_filename=str(config), no_cache=True)

    assert status == EXIT_STATUS_SUCCESS, capsys.readouterr().out
