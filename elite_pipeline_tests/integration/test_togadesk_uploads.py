"""The uploads folder, on a real file system."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from elite_pipeline.errors import PermanentError
from elite_pipeline.togadesk import TextLimits
from elite_pipeline.togadesk.file_names import stored_name
from elite_pipeline.togadesk.uploads import Uploads
from elite_pipeline_tests.unit.test_togadesk_file_names import NAMES

LIMITS = TextLimits("utf8mb4", 255, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "uploads"
    made.mkdir()
    return made


@pytest.fixture
def uploads(folder: Path) -> Uploads:
    return Uploads(folder)


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def read(uploads: Uploads, stored: str) -> bytes:
    stream, size = uploads.open(stored)
    with stream:
        content = stream.read()
    assert len(content) == size == uploads.size(stored)
    return content


class TestWriting:
    @pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"a", b"", b"bc" * 500_000]], ids=len)
    def test_bytes_come_back_as_they_were(
        self, uploads: Uploads, folder: Path, chunks: list[bytes]
    ) -> None:
        whole = b"".join(chunks)
        assert uploads.write("1-a.txt", chunks) == len(whole)
        assert read(uploads, "1-a.txt") == whole
        assert names_in(folder) == ["1-a.txt"]

    def test_hostile_names_stay_in_the_folder(self, uploads: Uploads, folder: Path) -> None:
        names = {stored_name(n, name, LIMITS): name for n, name in enumerate(NAMES[:400])}
        for stored in names:
            uploads.write(stored, [stored.encode()])
        assert names_in(folder) == sorted(names)
        assert names_in(folder.parent) == ["uploads"]
        assert all(read(uploads, stored) == stored.encode() for stored in names)

    def test_a_file_that_is_there_is_replaced(self, uploads: Uploads) -> None:
        uploads.write("1-a.txt", [b"old and longer"])
        uploads.write("1-a.txt", [b"new"])
        assert read(uploads, "1-a.txt") == b"new"

    def test_nobody_sees_half_a_file(self, uploads: Uploads, folder: Path) -> None:
        def watched() -> Iterator[bytes]:
            yield b"first"
            assert uploads.size("1-a.txt") is None
            (temporary,) = names_in(folder)
            assert temporary.startswith(".")
            assert "1-a" not in temporary
            yield b"second"

        uploads.write("1-a.txt", watched())
        assert read(uploads, "1-a.txt") == b"firstsecond"

    def test_two_writers_of_one_name_do_not_mix(self, uploads: Uploads, folder: Path) -> None:
        barrier = threading.Barrier(2)

        def slowly(letter: bytes) -> Iterator[bytes]:
            for _ in range(20):
                barrier.wait(30)
                yield letter * 1000

        threads = [
            threading.Thread(target=uploads.write, args=("1-a.txt", slowly(letter)))
            for letter in (b"a", b"b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert read(uploads, "1-a.txt") in {b"a" * 20_000, b"b" * 20_000}
        assert names_in(folder) == ["1-a.txt"]

    @pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, PermanentError])
    def test_whatever_ends_it_leaves_nothing_and_the_former_file(
        self, uploads: Uploads, folder: Path, error: type[BaseException]
    ) -> None:
        uploads.write("1-a.txt", [b"former"])

        def broken() -> Iterator[bytes]:
            yield b"half"
            raise error("of the source")

        with pytest.raises(error, match="of the source"):
            uploads.write("1-a.txt", broken())
        assert names_in(folder) == ["1-a.txt"]
        assert read(uploads, "1-a.txt") == b"former"

    @pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0, 0o644)])
    def test_the_web_server_can_read_it_as_the_umask_allows(
        self, uploads: Uploads, folder: Path, umask: int, mode: int
    ) -> None:
        before = os.umask(umask)
        try:
            uploads.write("1-a.txt", [b"x"])
        finally:
            os.umask(before)
        assert stat.S_IMODE((folder / "1-a.txt").stat().st_mode) == mode

    def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(
        self, uploads: Uploads, folder: Path, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"not to be touched")
        (folder / "1-a.txt").symlink_to(outside)
        uploads.write("1-a.txt", [b"new"])
        assert outside.read_bytes() == b"not to be touched"
        assert not (folder / "1-a.txt").is_symlink()
        assert read(uploads, "1-a.txt") == b"new"

    def test_a_folder_in_the_place_of_a_file_is_permanent(
        self, uploads: Uploads, folder: Path
    ) -> None:
        (folder / "1-a.txt").mkdir()
        with pytest.raises(PermanentError, match=r"1-a\.txt"):
            uploads.write("1-a.txt", [b"x"])
        assert names_in(folder) == ["1-a.txt"]


class TestReading:
    def test_a_file_that_is_not_there(self, uploads: Uploads) -> None:
        assert uploads.size("12-a.png") is None
        with pytest.raises(PermanentError, match=r"file 12 \('12-a\.png'\) are missing"):
            uploads.open("12-a.png", file_id=12)

    @pytest.mark.parametrize("kind", ["symlink", "dangling", "folder", "pipe"])
    def test_what_is_no_plain_file_is_not_read(
        self, uploads: Uploads, folder: Path, tmp_path: Path, kind: str
    ) -> None:
        place = folder / "1-a.txt"
        if kind == "symlink":
            (tmp_path / "secret").write_bytes(b"x")
            place.symlink_to(tmp_path / "secret")
        elif kind == "dangling":
            place.symlink_to(tmp_path / "nowhere")
        elif kind == "folder":
            place.mkdir()
        else:
            os.mkfifo(place)
        assert uploads.size("1-a.txt") is None
        with pytest.raises(PermanentError, match="is not used"):
            uploads.open("1-a.txt")

    @pytest.mark.parametrize(
        "stored", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\ud83d"]
    )
    def test_a_name_that_is_none_is_refused(self, uploads: Uploads, stored: str) -> None:
        for use in (uploads.open, uploads.size, lambda name: uploads.write(name, [b"x"])):
            with pytest.raises(PermanentError, match="its row in files"):
                use(stored)

    def test_a_name_that_is_too_long_is_permanent(self, uploads: Uploads) -> None:
        for use in (uploads.open, uploads.size, lambda name: uploads.write(name, [b"x"])):
            with pytest.raises(PermanentError, match="name too long"):
                use("x" * 256)


class TestTheFolder:
    @pytest.mark.parametrize("kind", ["missing", "file", "below a file"])
    def test_one_that_is_none_is_named(self, tmp_path: Path, kind: str) -> None:
        place = tmp_path / "uploads"
        if kind != "missing":
            place.write_bytes(b"")
        uploads = Uploads(place if kind != "below a file" else place / "deeper")
        for use in (
            lambda: uploads.write("1-a", [b"x"]),
            lambda: uploads.open("1-a"),
            lambda: uploads.size("1-a"),
            lambda: uploads.clean(0),
        ):
            with pytest.raises(PermanentError, match=r"uploads.*check that TOGADESK_UPLOADS_DIR"):
                use()

    def test_a_link_to_a_folder_is_one(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        Uploads(tmp_path / "link").write("1-a", [b"x"])
        assert names_in(folder) == ["1-a"]

    def test_what_killed_processes_left_is_removed_after_a_while(self, folder: Path) -> None:
        uploads = Uploads(folder)
        uploads.write("1-a.txt", [b"kept"])
        child = (
            "import os, sys, pathlib\n"
            "from elite_pipeline.togadesk.uploads import Uploads\n"
            "def chunks():\n"
            "    yield b'half'\n"
            "    os.kill(os.getpid(), 9)\n"
            "Uploads(pathlib.Path(sys.argv[1])).write('2-b.txt', chunks())\n"
        )
        assert run_child(child, folder).returncode == -9
        assert len(names_in(folder)) == 2
        (folder / ".elite-pipeline-notes.part").write_bytes(b"somebody's own")
        born = max(entry.stat().st_mtime for entry in folder.iterdir())
        assert Uploads(folder, clock=lambda: born + 3599).clean(3600) == 0
        assert Uploads(folder, clock=lambda: born + 3601).clean(3600) == 1
        assert names_in(folder) == [".elite-pipeline-notes.part", "1-a.txt"]


def run_child(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """Make a folder that every user can reach and nobody but its owner can write to."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


class TestAnUnwillingSystem:
    def test_a_full_disk_is_passing_and_leaves_nothing(self, folder: Path) -> None:
        # a limit on the size of a file is the full disk that every user can have
        child = (
            "import os, sys, pathlib, resource\n"
            "from elite_pipeline.errors import TransientError\n"
            "from elite_pipeline.togadesk.uploads import Uploads\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
            "uploads = Uploads(pathlib.Path(sys.argv[1]))\n"
            "uploads.write('1-a', [b'x' * (1 << 20)])\n"
            "try:\n"
            "    uploads.write('2-b', [b'x' * 700_000] * 3)\n"
            "except TransientError as error:\n"
            "    print(error)\n"
        )
        done = run_child(child, folder)
        assert "is full (file too large): '2-b' was not written. Make room" in done.stdout, done
        assert names_in(folder) == ["1-a"]

    def test_a_folder_without_the_right_to_write_is_permanent(self, open_folder: Path) -> None:
        (open_folder / "1-a").write_bytes(b"x")
        (open_folder / "1-a").chmod(0)
        open_folder.chmod(0o555)
        child = (
            "import os, sys, pathlib\n"
            "from elite_pipeline.errors import PermanentError\n"
            "from elite_pipeline.togadesk.uploads import Uploads\n"
            "if os.geteuid() == 0:\n"
            "    os.setgid(65534)\n"
            "    os.setuid(65534)\n"
            "uploads = Uploads(pathlib.Path(sys.argv[1]))\n"
            "for use in (lambda: uploads.write('2-b', [b'x']), lambda: uploads.open('1-a')):\n"
            "    try:\n"
            "        use()\n"
            "    except PermanentError as error:\n"
            "        print(error)\n"
        )
        done = run_child(child, open_folder)
        written, opened = done.stdout.splitlines()
        for said in (written, opened):
            assert "(permission denied)" in said
            assert "TOGADESK_UPLOADS_DIR" in said
        assert names_in(open_folder) == ["1-a"]

    def test_a_folder_that_may_not_be_entered_is_permanent(self, open_folder: Path) -> None:
        open_folder.chmod(0)
        child = (
            "import os, sys, pathlib\n"
            "from elite_pipeline.errors import PermanentError\n"
            "from elite_pipeline.togadesk.uploads import Uploads\n"
            "if os.geteuid() == 0:\n"
            "    os.setgid(65534)\n"
            "    os.setuid(65534)\n"
            "try:\n"
            "    Uploads(pathlib.Path(sys.argv[1])).size('1-a')\n"
            "except PermanentError as error:\n"
            "    print(error)\n"
        )
        done = run_child(child, open_folder)
        assert "cannot be opened (permission denied)" in done.stdout, done
