"""Files, links and searches in TOGA 2, against the sandbox over a real socket."""

import base64
import io
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    TransientError,
)
from elite_pipeline.sandbox.toga2 import CutBody, Drop, InvalidJson, Status, Toga2Sandbox
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import MOST_FOUND_PAGES, Toga2Client
from elite_pipeline.toga2.file_bodies import FileContent
from elite_pipeline.toga2.models import NoteFile, TicketNote
from elite_pipeline.toga2.ticket_routes import TICKET_ROUTES
from elite_pipeline_tests.support.reference_data import at
from elite_pipeline_tests.support.scripted_http import Reply, scripted
from elite_pipeline_tests.support.systems import demo_client, toga2_client

#: What TOGA 2 takes as a name, and no query or body may stumble over.
HOSTILE_NAMES = [
    "image001.png",
    "a,b, c.png",
    "../../etc/passwd",
    "C:\\x\\y.php",
    '"data":"QUJD"',
    "\\",
    "a&b=c;d#e?f%20g%2Fh+i",
    "where[name =]=x",
    "]=[name in]",
    "'; DROP TABLE files; --",
    "\n\r\t\x1b\x7f\u2028\u202egnp.exe",
    "\u0645\u0644\u0641 \u05e7\u05d5\u05d1\u05e5.pdf",
    "👍" * 60,
    "x" * 2000,
    " a ",
    "a",
    "A",
    "",
]


@pytest.fixture
def client(toga2: Toga2Sandbox) -> Iterator[Toga2Client]:
    made = toga2_client(demo_client("elite"), toga2.base_url)
    yield made
    made.close()


def upload(client: Toga2Client, name: str, content: bytes, content_type: str = "x/y") -> str:
    return client.upload(name, content_type, io.BytesIO(content), len(content))


def bytes_of(file: FileContent) -> bytes:
    return b"".join(file.chunks())


def make_note(toga2: Toga2Sandbox, integration_type: str = "TICKETS") -> str:
    routes = TICKET_ROUTES[integration_type]
    job = toga2.store.create("elite", routes.tickets.route, {"subject": "s"})["uuid"]
    body = {routes.notes.parent or "": {"uuid": job}, "isExternal": True}
    return str(toga2.store.create("elite", routes.notes.route, body)["uuid"])


class TestFiles:
    @pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda name: ascii(name)[:20])
    def test_a_file_goes_up_and_down_and_is_found_by_its_name(
        self, toga2: Toga2Sandbox, client: Toga2Client, name: str
    ) -> None:
        content = random.Random(name).randbytes(70_000)
        others = [upload(client, other, b"other") for other in HOSTILE_NAMES if other != name]
        uuid = upload(client, name, content)
        file = client.download(uuid)
        assert (file.uuid, file.name, file.content_type) == (uuid, name, "x/y")
        assert file.size == len(content)
        assert bytes_of(file) == toga2.store.content("elite", uuid) == content
        (found,) = client.find(wire.FILES, [("name", "=", name)])
        assert found["uuid"] == uuid
        assert found["name"] == name
        assert "data" not in found
        assert uuid not in others

    @pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 786_431, 786_432, 786_433])
    def test_files_of_every_size(self, toga2: Toga2Sandbox, client: Toga2Client, size: int) -> None:
        content = random.Random(size).randbytes(size)
        uuid = upload(client, "a.bin", content)
        assert toga2.store.content("elite", uuid) == content
        assert toga2.store.get("elite", "files", uuid)["size"] == size
        assert bytes_of(client.download(uuid)) == content

    def test_files_of_one_name_are_told_apart_by_their_size(self, client: Toga2Client) -> None:
        uuids = [upload(client, "image001.png", b"x" * size) for size in (1, 2, 2, 30)]
        named = ("name", "=", "image001.png")
        found = client.find(wire.FILES, [named, ("size", "=", "2")])
        assert {record["uuid"] for record in found} == set(uuids[1:3])
        assert client.find(wire.FILES, [named, ("size", ">", "30")]) == []

    def test_one_that_is_not_there_is_permanent(self, client: Toga2Client) -> None:
        with pytest.raises(PermanentHttpError) as caught:
            client.download("00000000-0000-4000-8000-00000000dead")
        assert caught.value.code == wire.GONE
        with pytest.raises(PermanentError, match="characters of another kind"):
            client.download("../files")

    @pytest.mark.parametrize("fault", [Status(503), Drop(), CutBody(), InvalidJson()], ids=str)
    @pytest.mark.parametrize("size", [10, 200_000])
    def test_a_download_is_repeated_and_never_cut(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Drop, size: int
    ) -> None:
        content = random.Random(1).randbytes(size)
        uuid = upload(client, "a", content)
        toga2.faults.add(fault, method="GET", route="/files/{uuid}", times=2)
        assert bytes_of(client.download(uuid)) == content
        toga2.faults.add(fault, method="GET", route="/files/{uuid}", times=None)
        with pytest.raises(TransientError):
            client.download(uuid)

    @pytest.mark.parametrize(
        "fault", [Status(503, takes_effect=True), Drop(takes_effect=True), CutBody()], ids=str
    )
    def test_an_upload_whose_outcome_is_unknown_is_not_repeated(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Drop
    ) -> None:
        toga2.faults.add(fault, method="POST", route="/files")
        with pytest.raises(TransientError):
            upload(client, "a", b"abc")
        assert toga2.count(method="POST", route="/files") == 1
        assert toga2.store.count("elite", "files") == 1

    def test_an_upload_that_was_turned_away_is_repeated_whole(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.faults.add(Status(429), method="POST", route="/files", times=2)
        content = random.Random(2).randbytes(1_000_000)
        uuid = upload(client, "a", content)
        assert toga2.store.content("elite", uuid) == content
        assert toga2.store.count("elite", "files") == 1

    def test_an_upload_is_one_body_of_known_length(self) -> None:
        answer = {"data": {"files": {"uuid": "f-1", "data": "x" * 200_000}}}
        with scripted(Reply(body=json.dumps(answer).encode())) as server:
            client = toga2_client(demo_client("elite"), server.url)
            assert upload(client, "a", b"abc" * 100_000) == "f-1"
            client.close()
        (request,) = server.requests
        assert request.headers["Content-Length"] == str(len(request.body))
        assert request.headers["Content-Type"] == "application/json"
        assert "Transfer-Encoding" not in request.headers
        assert base64.b64decode(json.loads(request.body)["data"]) == b"abc" * 100_000

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"data": {"files": {}}}', b"<html>"])
    def test_an_upload_that_is_answered_otherwise_is_not_known_to_be_done(
        self, body: bytes
    ) -> None:
        with scripted(Reply(body=body)) as server:
            client = toga2_client(demo_client("elite"), server.url)
            with pytest.raises(TransientError):
                upload(client, "a", b"abc")
            client.close()
        assert len(server.requests) == 1


@pytest.mark.parametrize("integration_type", ["TICKETS", "REPAIR_ORDERS"])
class TestLinks:
    def test_a_linked_file_stands_on_its_note(
        self, toga2: Toga2Sandbox, client: Toga2Client, integration_type: str
    ) -> None:
        routes = TICKET_ROUTES[integration_type]
        uuid = make_note(toga2, integration_type)
        files = [upload(client, name, b"abc") for name in ("a.png", "a.png")]
        for file in files:
            client.link_file(routes.notes, uuid, file)
        note = routes.note_parser.one(client.fetch(routes.notes, uuid, depth=wire.FULL_DEPTH))
        assert isinstance(note, TicketNote)
        links = [link for link in note.files or [] if isinstance(link, NoteFile)]
        assert {link.file.uuid for link in links} == set(files)
        assert [(link.file.name, link.file.size) for link in links] == [("a.png", 3)] * 2
        for depth in (1, 2):
            shallow = routes.note_parser.one(client.fetch(routes.notes, uuid, depth=depth))
            assert isinstance(shallow, TicketNote)
            assert shallow.files is None

    def test_a_link_whose_outcome_is_unknown_is_not_repeated(
        self, toga2: Toga2Sandbox, client: Toga2Client, integration_type: str
    ) -> None:
        routes = TICKET_ROUTES[integration_type]
        assert routes.notes.file_links is not None
        uuid, file = make_note(toga2, integration_type), upload(client, "a", b"abc")
        pattern = f"/{routes.notes.route}/{{uuid}}/{routes.notes.file_links.route}"
        toga2.faults.add(Drop(takes_effect=True), method="POST", route=pattern)
        with pytest.raises(TransientError):
            client.link_file(routes.notes, uuid, file)
        assert toga2.count(method="POST", route=pattern) == 1
        assert toga2.store.count("elite", routes.notes.file_links.route) == 1

    def test_what_cannot_be_linked_is_permanent(
        self, toga2: Toga2Sandbox, client: Toga2Client, integration_type: str
    ) -> None:
        notes = TICKET_ROUTES[integration_type].notes
        uuid, gone = make_note(toga2, integration_type), "00000000-0000-4000-8000-00000000dead"
        with pytest.raises(PermanentHttpError, match="422"):
            client.link_file(notes, uuid, gone)
        with pytest.raises(PermanentHttpError, match="404"):
            client.link_file(notes, gone, upload(client, "a", b""))
        with pytest.raises(PermanentError, match="characters of another kind"):
            client.link_file(notes, "x/..", gone)
        with pytest.raises(ValueError, match="have no files"):
            client.link_file(wire.TICKETS, uuid, gone)


class TestSearches:
    def test_records_are_found_by_their_custom_fields(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = {
            key: toga2.store.create("elite", "tickets", {"subject": "s", "c_eliteTicketId": key})[
                "uuid"
            ]
            for key in ("togadesk:ticket:1", "togadesk:ticket:2", "togadesk:ticket:3")
        }
        for route in ("ticket-notes", "repair-order-notes"):
            kind = "TICKETS" if route == "ticket-notes" else "REPAIR_ORDERS"
            note = make_note(toga2, kind)
            toga2.store.update("elite", route, note, {"c_eliteConversationId": "togadesk:reply:1"})
            wanted = [("c_eliteConversationId", "in", "togadesk:reply:1,togadesk:comment:9")]
            (found,) = client.find(TICKET_ROUTES[kind].notes, wanted)
            assert found["uuid"] == note
        wanted = [("c_eliteTicketId", "in", "togadesk:ticket:1,togadesk:ticket:3,other")]
        found_uuids = {record["uuid"] for record in client.find(wire.TICKETS, wanted)}
        assert found_uuids == {uuids["togadesk:ticket:1"], uuids["togadesk:ticket:3"]}
        assert client.find(wire.TICKETS, [("c_eliteTicketId", "=", "none")]) == []

    def test_all_of_them_are_found_also_in_one_second(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.store.bulk_create(
            "elite",
            "files",
            ({"name": "a", "data": b"", "_updated": at(0)} for _ in range(950)),
        )
        assert len({raw["uuid"] for raw in client.find(wire.FILES, [("name", "=", "a")])}) == 950

    def test_a_search_without_end_is_permanent(self, toga2: Toga2Sandbox) -> None:
        toga2.store.bulk_create(
            "elite",
            "files",
            ({"name": "a", "data": b"", "_updated": at(n)} for n in range(MOST_FOUND_PAGES * 2)),
        )
        client = toga2_client(demo_client("elite"), toga2.base_url, page_size=2)
        with pytest.raises(PermanentError, match="which are meant cannot be told"):
            client.find(wire.FILES, [("name", "=", "a")])
        client.close()

    @pytest.mark.parametrize("raw", ["x", None, {}, {"uuid": None, "name": "a"}])
    def test_a_record_without_a_uuid_is_never_one_less(self, raw: object) -> None:
        body = json.dumps({"data": {"files": [raw]}}).encode()
        with scripted(Reply(body=body)) as server:
            client = toga2_client(demo_client("elite"), server.url)
            with pytest.raises(PermanentError, match="files that match name = has no uuid"):
                client.find(wire.FILES, [("name", "=", "a")])
            client.close()

    def test_an_error_is_never_nothing_found(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.faults.add(Status(503), route="/files", times=None)
        with pytest.raises(TransientError):
            client.find(wire.FILES, [("name", "=", "a")])
        with pytest.raises(PermanentError, match="not valid Unicode"):
            client.find(wire.FILES, [("name", "=", "a\ud83d")])


class TestManyJobs:
    def test_jobs_make_calls_as_many_at_once_as_the_client_allows(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.settings.latency_seconds = 0.01
        note = make_note(toga2)

        def carry(number: int) -> str:
            uuid = upload(client, f"{number}.png", b"x" * number)
            client.link_file(wire.TICKET_NOTES, note, uuid)
            return bytes_of(client.download(uuid)).decode()

        found = client.run_many([partial(carry, number) for number in range(40)])
        assert found == ["x" * number for number in range(40)]
        assert 1 < toga2.max_in_flight <= demo_client("elite").toga2.max_in_flight

    def test_one_that_fails_spoils_no_other(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        uuid = upload(client, "a", b"abc")
        jobs = [partial(client.download, each) for each in (uuid, "no-such", uuid)]
        first, failed, last = client.run_many(jobs)
        assert isinstance(first, FileContent)
        assert isinstance(failed, PipelineError)
        assert isinstance(last, FileContent)

    def test_refused_credentials_stop_them(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        toga2.faults.add(Status(401), times=None)
        jobs = [partial(upload, client, "a", b"abc") for _ in range(500)]
        with pytest.raises(SystemicError):
            client.run_many(jobs)
        assert toga2.count() < 100


@pytest.mark.parametrize("direction", ["down", "up"])
def test_forty_megabytes_take_no_more_than_four_times_their_size(
    toga2: Toga2Sandbox, tmp_path: Path, direction: str
) -> None:
    content = random.Random(40).randbytes(40 * 1024 * 1024)
    if direction == "down":
        files = ({"name": "a", "data": data} for data in (b"small" * 100_000, content))
        toga2.store.bulk_create("elite", "files", files)
        carried = [record["uuid"] for record in toga2.store.all("elite", "files")]
    else:
        carried = ["1-small", "2-big"]
        (tmp_path / "1-small").write_bytes(b"small" * 100_000)
        (tmp_path / "2-big").write_bytes(content)
    module = "elite_pipeline_tests.support.big_files"
    done = subprocess.run(
        [sys.executable, "-m", module, direction, toga2.base_url, str(tmp_path), *carried],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    raised_by, _, result = done.stdout.split()
    if direction == "down":
        assert (tmp_path / f"1-{carried[1]}").read_bytes() == content
    else:
        assert toga2.store.content("elite", result) == content
    assert int(raised_by) <= 4 * len(content)
