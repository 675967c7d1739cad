"""The walls between the rooms, kept by import-linter (``[tool.importlinter]`` in pyproject.toml)."""

import subprocess
import sys
from pathlib import Path


def test_no_wall_is_broken() -> None:
    # a process of its own: it configures logging for the whole process that it runs in
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
