"""The demo's folder: one demo at a time, filled wholly or not at all, and nothing else removed."""

import os
from pathlib import Path

import pytest

from elite_pipeline.errors import ConfigurationError
from elite_pipeline.launcher.folder import DemoFolder


@pytest.fixture
def folder(tmp_path: Path) -> DemoFolder:
    return DemoFolder(tmp_path / "demo")


def test_a_second_demo_is_told_who_holds_the_folder(folder: DemoFolder) -> None:
    with folder.locked(), pytest.raises(ConfigurationError) as caught:
        folder.locked().__enter__()
    assert f"A demo is running in {folder.root} (process {os.getpid()})" in str(caught.value)
    with folder.locked():
        pass  # free again


def test_a_child_that_inherits_the_lock_holds_it_on(folder: DemoFolder) -> None:
    with folder.locked() as descriptor:
        inherited = os.dup(descriptor)
    with pytest.raises(ConfigurationError, match="still ending"):
        folder.locked().__enter__()
    os.close(inherited)
    with folder.locked():
        assert folder.root.is_dir()


def test_a_folder_that_cannot_be_made_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="Set DEMO_DIR to another one"):
        DemoFolder(tmp_path / "file" / "demo").locked().__enter__()


def fill(folder: DemoFolder) -> None:
    for database in (
        folder.helpdesk_database,
        folder.toga2_database,
        folder.pipeline_database,
        folder.call_log_database,
    ):
        database.touch()
        database.with_name(f"{database.name}-wal").touch()
    (folder.uploads / "deep").mkdir(parents=True)
    folder.logs.mkdir()
    (folder.dagster_home / "storage").mkdir(parents=True)
    folder.mark_first_runs_submitted()
    folder.mark_filled()


def test_removing_takes_all_of_the_demo(folder: DemoFolder) -> None:
    with folder.locked():
        fill(folder)
        assert folder.is_filled
        assert folder.first_runs_submitted
        folder.remove()
    assert not folder.root.exists()


def test_removing_leaves_what_is_not_the_demos(folder: DemoFolder) -> None:
    with folder.locked():
        fill(folder)
        (folder.root / "thesis.txt").write_text("mine")
        folder.remove()
    assert [entry.name for entry in folder.root.iterdir()] == ["thesis.txt"]


def test_clearing_starts_over_under_the_same_lock(folder: DemoFolder) -> None:
    with folder.locked():
        fill(folder)
        folder.clear()
        assert not folder.is_filled
        assert not folder.first_runs_submitted
        assert [entry.name for entry in folder.root.iterdir()] == ["lock"]
        with pytest.raises(ConfigurationError):
            folder.locked().__enter__()


def test_a_lock_on_a_file_that_was_removed_is_not_believed(folder: DemoFolder) -> None:
    with folder.locked():
        folder.remove()
        with folder.locked():  # a new folder: nobody holds this one
            assert folder.root.exists()


def test_dagsters_settings_are_brought_up_to_date(folder: DemoFolder, tmp_path: Path) -> None:
    settings = tmp_path / "dagster.yaml"
    for text in ("a: 1\n", "a: 2\n"):
        settings.write_text(text)
        folder.prepare_dagster_home(settings)
        assert (folder.dagster_home / "dagster.yaml").read_text() == text
