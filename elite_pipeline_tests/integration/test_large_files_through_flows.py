"""Large files through whole flows, in a process of its own, and folders that take none."""

import errno
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from elite_pipeline_tests.support.note_files import attach, bring, shown, there
from elite_pipeline_tests.support.service_desk import ServiceDesk
from elite_pipeline_tests.support.systems import Systems
from elite_pipeline_tests.support.tickets import Desk, at
from elite_pipeline_tests.support.typing import Typist

IN, OUT = "toga2_to_togadesk", "togadesk_to_toga2"
ONE_KIND = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)
SIZE = 40 << 20


def run_apart(flow: str, systems: Systems, *more: str) -> dict[str, Any]:
    module = "elite_pipeline_tests.support.big_flows"
    places = [systems.toga2.base_url, systems.helpdesk.url, systems.ledger_url]
    done = subprocess.run(
        [sys.executable, "-m", module, flow, *places, str(systems.uploads_dir), *more],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


@ONE_KIND
@pytest.mark.parametrize("count", [1, 3])
class TestPeakOfMemory:
    def test_into_the_helpdesk(self, systems: Systems, desk: Desk, count: int) -> None:
        contents = [random.Random(each).randbytes(SIZE) for each in range(count)]
        note = desk.note(desk.ticket())
        for each, content in enumerate(contents):
            attach(desk, note, f"{each}.bin", content)
        said = run_apart(IN, systems)
        assert said["failures"] == []
        assert [content for _, _, content in sorted(shown(systems))] == contents
        assert said["raised_by"] <= 4 * SIZE

    def test_out_of_the_helpdesk(self, typist: Typist, count: int) -> None:
        contents = [random.Random(each).randbytes(SIZE) for each in range(count)]
        id_, _ = typist.ticket()
        reply = typist.reply(id_)
        for each, content in enumerate(contents):
            typist.upload(reply, f"{each}.bin", content)
        said = run_apart(OUT, typist.systems)
        assert said["failures"] == []
        assert [content for _, _, content in sorted(there(typist))] == contents
        assert said["raised_by"] <= 4 * SIZE


@ONE_KIND
def test_peak_of_memory_out_of_freshservice(service_desk: ServiceDesk) -> None:
    content = random.Random(0).randbytes(SIZE)
    account = service_desk.account
    number = account.new_ticket()
    account.reply(number, files=[("0.bin", content)])
    service_desk.hint(number)
    said = run_apart(
        "freshservice_to_toga2", service_desk.systems, account.api_url, account.api_key
    )
    assert said["failures"] == []
    (note,) = service_desk.notes(number)
    assert service_desk.files_of(note) == [("0.bin", content)]
    assert said["raised_by"] <= 4 * SIZE


@ONE_KIND
def test_full_disk_is_one_dead_letter_a_file_and_it_comes_when_there_is_room(
    systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = desk.note(desk.ticket(), "<p>See</p>")
    attach(desk, note, "a.png", b"a" * 1000)
    desk.note(desk.ticket("Other", 4), "<p>Other</p>", 5)
    real = os.write

    def full(target: int, content: Any) -> int:
        if Path(f"/proc/self/fd/{target}").readlink().parent == systems.uploads_dir:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(target, content)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        result = bring(systems)
    (failure,) = result.failures
    assert (failure.kind, "is full" in failure.reason) == ("transient", True)
    assert len(desk.replies()) == 4
    assert [*systems.uploads_dir.iterdir()] == []
    systems.later = at(10) - at(0)
    assert bring(systems).dead_letters.waiting == 0
    assert shown(systems) == [("a.png", "<p>See</p>", b"a" * 1000)]
    assert desk.count("files") == 1


@ONE_KIND
def test_folder_that_takes_nothing_is_one_dead_letter_a_file(
    systems: Systems, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    attach(desk, desk.note(desk.ticket(), "<p>See</p>"), "a.png")
    real = os.open

    def refused(path: Any, flags: int, *more: Any, **options: Any) -> int:
        # also root, who may do everything, meets it so
        if flags & os.O_CREAT and options.get("dir_fd") is not None:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refused)
        result = bring(systems)
    (failure,) = result.failures
    assert failure.kind == "permanent"
    assert (len(desk.replies()), desk.count("files")) == (2, 0)
    systems.later = at(10) - at(0)
    assert bring(systems).dead_letters.waiting == 0
    assert shown(systems) == [("a.png", "<p>See</p>", b"bytes")]


@ONE_KIND
def test_missing_folder_holds_back_files_alone_on_the_way_out(typist: Typist) -> None:
    id_, _ = typist.ticket()
    typist.upload(typist.reply(id_, "<p>With</p>"), "a.png", b"a")
    typist.reply(id_, "<p>Without</p>")
    folder, away = typist.systems.uploads_dir, typist.systems.uploads_dir.with_name("away")
    folder.rename(away)
    result = typist.send()
    assert result.failed == 1
    assert "<p>Without</p>" in [body for _, body in typist.notes()]
    away.rename(folder)
    typist.systems.later = at(10) - at(0)
    assert typist.send().dead_letters.waiting == 0
    assert there(typist) == [("a.png", "<p>With</p>", b"a")]
    assert len(typist.raw_notes()) == 2
