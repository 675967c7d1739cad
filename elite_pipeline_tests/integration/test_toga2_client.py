"""The access to TOGA 2, against the sandbox over a real socket."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from elite_pipeline.errors import (
    PermanentError,
    PermanentHttpError,
    PipelineError,
    SystemicError,
    SystemicHttpError,
    TransientError,
)
from elite_pipeline.sandbox.toga2 import (
    CutBody,
    Drop,
    InvalidJson,
    RequestInfo,
    Stall,
    Status,
    Toga2Sandbox,
)
from elite_pipeline.toga2 import wire
from elite_pipeline.toga2.client import MOST_PARAMETER_PAGES, Toga2Client
from elite_pipeline.toga2.jobs import BREAKER_LIMIT
from elite_pipeline.toga2.models import Contact, RecordParser
from elite_pipeline_tests.support.reference_data import at
from elite_pipeline_tests.support.scripted_http import Reply, scripted
from elite_pipeline_tests.support.systems import demo_client, toga2_client

FAULTS = [
    Status(500),
    Status(503, body="html"),
    Status(502, body="empty"),
    Drop(),
    CutBody(),
    CutBody(keep_bytes=0),
    InvalidJson(),
]


@contextmanager
def opened(toga2: Toga2Sandbox, **options: Any) -> Iterator[Toga2Client]:
    client = toga2_client(demo_client("elite"), toga2.base_url, **options)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def client(toga2: Toga2Sandbox) -> Iterator[Toga2Client]:
    with opened(toga2) as client:
        yield client


def fill(toga2: Toga2Sandbox, count: int, *, spread: bool = True) -> list[str]:
    uuids = [f"00000000-0000-4000-9000-{number:012}" for number in range(count)]
    toga2.store.bulk_create(
        "elite",
        "contacts",
        (
            {"uuid": uuid, "email": f"{uuid}@example.com", "_updated": at(n if spread else 0)}
            for n, uuid in enumerate(uuids)
        ),
    )
    return uuids


def uuids_of(pages: Iterator[list[Any]]) -> list[str]:
    return [record["uuid"] for page in pages for record in page]


class TestLists:
    def test_an_empty_list_is_one_call(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        assert list(client.pages(wire.CONTACTS)) == []
        (request,) = toga2.requests
        assert request.query == (
            ("orderBy", "_updated,uuid"),
            ("page", "1"),
            ("limit", "200"),
            ("depth", "1"),
        )

    @pytest.mark.parametrize("count", [1, 199, 200, 201, 1000])
    @pytest.mark.parametrize("spread", [True, False])
    def test_every_record_comes_once_and_in_order(
        self, toga2: Toga2Sandbox, client: Toga2Client, count: int, spread: bool
    ) -> None:
        uuids = fill(toga2, count, spread=spread)
        assert uuids_of(client.pages(wire.CONTACTS)) == uuids
        assert client.calls == toga2.count()

    def test_only_what_changed_after_an_instant(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = fill(toga2, 500)
        assert uuids_of(client.pages(wire.CONTACTS, after=at(249))) == uuids[250:]
        assert toga2.requests[0].parameters["where[_updated >]"] == "2026-06-10 08:04:09"

    def test_pages_are_fetched_as_they_are_asked_for(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        fill(toga2, 1000)
        pages = client.pages(wire.CONTACTS)
        assert toga2.count() == 0
        next(pages)
        assert toga2.count() == 1

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    @pytest.mark.parametrize("skip", [0, 1])
    def test_a_passing_failure_is_not_seen(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Any, skip: int
    ) -> None:
        uuids = fill(toga2, 300)
        toga2.faults.add(fault, route="/contacts", skip=skip, times=2)
        assert uuids_of(client.pages(wire.CONTACTS)) == uuids
        assert client.calls == 4

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    def test_a_lasting_failure_is_an_error_and_never_an_empty_list(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Any
    ) -> None:
        fill(toga2, 300)
        toga2.faults.add(fault, route="/contacts", skip=1, times=None)
        pages = client.pages(wire.CONTACTS)
        assert len(next(pages)) == 200
        with pytest.raises(TransientError, match="/contacts"):
            next(pages)

    def test_an_answer_that_does_not_come_is_an_error(self, toga2: Toga2Sandbox) -> None:
        toga2.faults.add(Stall(), route="/contacts", times=None)
        said = pytest.raises(TransientError, match=r"no answer within 0\.1 s")
        with opened(toga2, read_timeout=0.1) as client, said:
            list(client.pages(wire.CONTACTS))

    def test_a_client_sees_its_own_records_alone(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.store.create("wje", "contacts", {"email": "theirs@example.com"})
        assert list(client.pages(wire.CONTACTS)) == []

    def test_refused_credentials_stop_at_once_and_are_not_shown(self, toga2: Toga2Sandbox) -> None:
        wrong = demo_client("wje").model_copy(update={"name": "elite"})
        client = toga2_client(wrong, toga2.base_url)
        with pytest.raises(SystemicHttpError, match="API key, secret and uuid") as caught:
            list(client.pages(wire.CONTACTS))
        client.close()
        assert caught.value.status in {401, 403}
        assert toga2.count() == 1

    def test_half_a_surrogate_pair_spoils_its_own_record_alone(self) -> None:
        times = {"_created": "2026-06-10 08:00:00", "_updated": "2026-06-10 08:00:00"}
        raws = [{"uuid": f"c-{n}", **times, "email": f"{n}@example.com"} for n in range(9)]
        raws[4]["firstName"] = "\ud83d"
        body = json.dumps({"data": {"contacts": raws}}).encode()
        with scripted(Reply(200, body)) as server:
            client = toga2_client(demo_client("elite"), server.url)
            (page,) = client.pages(wire.CONTACTS)
            client.close()
        parsed = RecordParser(Contact).many(page)
        assert len(parsed.records) == 8
        assert [malformed.name for malformed in parsed.malformed] == ["c-4"]


class TestOneRecord:
    def test_it_comes_with_what_hangs_on_it(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        ticket = toga2.store.create("elite", "tickets", {"subject": "s"})["uuid"]
        toga2.store.create("elite", "ticket-notes", {"ticket": {"uuid": ticket}, "body": "b"})
        found: Any = client.fetch(wire.TICKETS, ticket, depth=5)
        assert [note["body"] for note in found["ticketNotes"]] == ["b"]

    def test_one_that_is_not_there_is_an_error_with_its_code(self, client: Toga2Client) -> None:
        with pytest.raises(PermanentHttpError) as caught:
            client.fetch(wire.CONTACTS, "00000000-0000-4000-8000-00000000dead", depth=1)
        assert (caught.value.status, caught.value.code) == (404, "EV-6")

    @pytest.mark.parametrize("uuid", ["", "-", "a/b", "../parameters", "a?b", "a b", "ä", "a%2Fb"])
    def test_a_uuid_that_would_name_another_route_is_not_sent(
        self, toga2: Toga2Sandbox, client: Toga2Client, uuid: str
    ) -> None:
        with pytest.raises(PermanentError):
            client.fetch(wire.TICKET_NOTES, uuid, depth=5)
        assert toga2.requests == []

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    def test_an_error_is_never_a_note_without_files(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Any
    ) -> None:
        ticket = toga2.store.create("elite", "tickets", {"subject": "s"})["uuid"]
        note = toga2.store.create("elite", "ticket-notes", {"ticket": {"uuid": ticket}})["uuid"]
        toga2.faults.add(fault, route="/ticket-notes/{uuid}", times=None)
        with pytest.raises(TransientError):
            client.fetch(wire.TICKET_NOTES, note, depth=5)


class TestManyRecords:
    def test_they_come_in_the_order_asked_for(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = fill(toga2, 60)[::-1]
        found = client.fetch_many(wire.CONTACTS, uuids, depth=1)
        assert [record["uuid"] for record in found if isinstance(record, dict)] == uuids

    def test_none_are_no_call(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        assert client.fetch_many(wire.CONTACTS, [], depth=1) == []
        assert toga2.requests == []

    def test_as_many_at_once_as_the_client_allows_and_no_more(self, toga2: Toga2Sandbox) -> None:
        uuids = fill(toga2, 60)
        toga2.settings.latency_seconds = 0.01
        with opened(toga2) as client:
            client.fetch_many(wire.CONTACTS, uuids, depth=1)
        assert 2 <= toga2.max_in_flight <= 8

    def test_two_callers_share_the_limit(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        uuids = fill(toga2, 40)
        toga2.settings.latency_seconds = 0.01
        threads = [
            threading.Thread(
                target=client.fetch_many, args=(wire.CONTACTS, uuids), kwargs={"depth": 1}
            )
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert toga2.count() == 120
        assert toga2.max_in_flight <= 8

    def test_one_that_fails_spoils_no_other(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        uuids = fill(toga2, 20)
        uuids[5] = "00000000-0000-4000-8000-00000000dead"
        uuids[9] = "../contacts"
        found = client.fetch_many(wire.CONTACTS, uuids, depth=1)
        failed = {n: error for n, error in enumerate(found) if isinstance(error, PipelineError)}
        assert set(failed) == {5, 9}
        assert all(isinstance(error, PermanentError) for error in failed.values())

    def test_a_host_that_fails_again_and_again_stops_the_run(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = fill(toga2, 200)
        toga2.faults.add(Status(503), route="/contacts/{uuid}", times=None)
        with pytest.raises(SystemicError, match=f"{BREAKER_LIMIT} reads in a row failed"):
            client.fetch_many(wire.CONTACTS, uuids, depth=1)
        assert toga2.count() < 200

    def test_passing_failures_here_and_there_do_not(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = fill(toga2, 100)
        toga2.faults.add(Status(503), route="/contacts/{uuid}", times=None, probability=0.3, seed=3)
        found = client.fetch_many(wire.CONTACTS, uuids, depth=1)
        assert len(found) == 100
        read = {n: record["uuid"] for n, record in enumerate(found) if isinstance(record, dict)}
        assert read == {n: uuids[n] for n in read}
        failed = [record for record in found if not isinstance(record, dict)]
        assert all(isinstance(error, TransientError) for error in failed)

    def test_refused_credentials_stop_it_at_once(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        uuids = fill(toga2, 200)
        toga2.faults.add(Status(401), route="/contacts/{uuid}", times=None)
        with pytest.raises(SystemicHttpError):
            client.fetch_many(wire.CONTACTS, uuids, depth=1)
        assert toga2.count() < 100


class TestWrites:
    def test_a_record_is_made_and_changed(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        made: Any = client.create(wire.PARAMETERS, {"name": "N", "value": "é 漢 😀"})
        assert made["value"] == "é 漢 😀"
        client.update(wire.PARAMETERS, made["uuid"], {"value": "2"})
        (parameter,) = client.parameters(["N", "OTHER"])
        assert (parameter.name, parameter.value) == ("N", "2")

    @pytest.mark.parametrize(
        "fault", [Status(503, takes_effect=True), Drop(takes_effect=True), CutBody()], ids=str
    )
    def test_a_create_whose_outcome_is_unknown_is_not_repeated(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Any
    ) -> None:
        toga2.faults.add(fault, method="POST")
        with pytest.raises(TransientError):
            client.create(wire.PARAMETERS, {"name": "N", "value": "1"})
        assert toga2.store.count("elite", "parameters") == 1
        assert toga2.count(method="POST") == 1

    def test_a_create_that_was_turned_away_is_repeated(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        toga2.faults.add(Status(429, retry_after=0), method="POST", times=2)
        client.create(wire.PARAMETERS, {"name": "N", "value": "1"})
        assert toga2.store.count("elite", "parameters") == 1

    @pytest.mark.parametrize("fault", FAULTS, ids=str)
    def test_a_change_is_repeated_until_it_is_known(
        self, toga2: Toga2Sandbox, client: Toga2Client, fault: Any
    ) -> None:
        uuid = toga2.store.create("elite", "parameters", {"name": "N", "value": "1"})["uuid"]
        toga2.faults.add(fault, method="PATCH", times=2)
        client.update(wire.PARAMETERS, uuid, {"value": "2"})
        assert toga2.store.get("elite", "parameters", uuid)["value"] == "2"

    @pytest.mark.parametrize(
        "reply", [Reply(204, b""), Reply(200, b""), Reply(202, b"\r\n")], ids=str
    )
    def test_a_change_that_is_answered_without_content_is_done(self, reply: Reply) -> None:
        with scripted(reply) as server:
            client = toga2_client(demo_client("elite"), server.url)
            client.update(wire.PARAMETERS, "p-1", {"value": "2"})
            client.close()
            (request,) = server.requests
        assert (request.method, json.loads(request.body)) == ("PATCH", {"value": "2"})

    @pytest.mark.parametrize("body", [b"<html>", b'{"data": {}}', b"null"])
    def test_a_change_that_is_answered_with_something_else_is_not(self, body: bytes) -> None:
        with scripted(Reply(200, body)) as server:
            client = toga2_client(demo_client("elite"), server.url)
            with pytest.raises(TransientError, match="/parameters/p-1"):
                client.update(wire.PARAMETERS, "p-1", {"value": "2"})
            client.close()
            assert len(server.requests) == 3

    def test_a_create_that_is_answered_without_content_is_not_known_to_be_done(self) -> None:
        with scripted(Reply(204, b"")) as server:
            client = toga2_client(demo_client("elite"), server.url)
            with pytest.raises(TransientError, match="/parameters"):
                client.create(wire.PARAMETERS, {"name": "N", "value": "1"})
            client.close()
            assert len(server.requests) == 1

    def test_what_toga2_refuses_is_permanent(self, client: Toga2Client) -> None:
        with pytest.raises(PermanentHttpError, match="nonsense") as caught:
            client.create(wire.PARAMETERS, {"nonsense": 1})
        assert caught.value.status == 422

    def test_parameters_are_one_call(self, toga2: Toga2Sandbox, client: Toga2Client) -> None:
        toga2.store.create("elite", "parameters", {"name": "N", "value": "1"})
        toga2.store.create("elite", "parameters", {"name": "OTHER", "value": "2"})
        assert [parameter.value for parameter in client.parameters(["N"])] == ["1"]
        assert toga2.count() == 1

    @pytest.mark.parametrize("spread", [True, False])
    def test_parameters_are_read_to_the_end(
        self, toga2: Toga2Sandbox, client: Toga2Client, spread: bool
    ) -> None:
        toga2.store.bulk_create(
            "elite",
            "parameters",
            (
                {
                    "name": "N" if number % 2 else "OTHER",
                    "value": str(number),
                    "_updated": at(number if spread else 0),
                }
                for number in range(1_001)
            ),
        )
        values = [parameter.value for parameter in client.parameters(["N"])]
        assert sorted(map(int, filter(None, values))) == list(range(1, 1_001, 2))

    def test_a_parameter_that_is_changed_while_they_are_read_comes_once_and_as_it_is(
        self, toga2: Toga2Sandbox
    ) -> None:
        uuids = [
            str(
                toga2.store.create(
                    "elite", "parameters", {"name": "N", "value": "old"}, updated=at(number)
                )["uuid"]
            )
            for number in range(30)
        ]

        def change(_: RequestInfo) -> None:
            if toga2.count() == 1:
                toga2.store.update("elite", "parameters", uuids[0], {"value": "new"})

        toga2.on_request = change
        with opened(toga2, page_size=10) as client:
            found = client.parameters(["N"])
        assert {parameter.uuid for parameter in found} == set(uuids)
        assert len(found) == len(uuids)
        assert [one.value for one in found if one.uuid == uuids[0]] == ["new"]

    def test_parameters_without_end_are_an_error(self, toga2: Toga2Sandbox) -> None:
        for number in range(MOST_PARAMETER_PAGES + 1):
            toga2.store.create("elite", "parameters", {"name": "N", "value": str(number)})
        said = pytest.raises(SystemicError, match="more than 50 parameters named N")
        with opened(toga2, page_size=1) as client, said:
            client.parameters(["N"])

    def test_a_parameter_that_is_none_is_an_error(
        self, toga2: Toga2Sandbox, client: Toga2Client
    ) -> None:
        raw = toga2.store.create("elite", "parameters", {"name": "N", "value": "1"})
        toga2.store.put_raw("elite", "parameters", {**raw, "value": ["x"]})
        with pytest.raises(SystemicError, match="value"):
            client.parameters(["N"])


def test_what_happens_between_two_pages_loses_nothing(toga2: Toga2Sandbox) -> None:
    uuids = fill(toga2, 120)
    pages = 0

    def edit(request: RequestInfo) -> None:
        nonlocal pages
        pages += 1
        if pages in {2, 4, 6}:
            toga2.store.touch("elite", "contacts", uuids[pages])
            toga2.store.delete("elite", "contacts", uuids[100 + pages])
            toga2.store.create("elite", "contacts", {"email": "new@example.com"}, updated=at(500))

    callback: Callable[[RequestInfo], None] = edit
    toga2.on_request = callback
    with opened(toga2, page_size=20) as client:
        found = [
            (record["uuid"], record["_updated"])
            for page in client.pages(wire.CONTACTS)
            for record in page
            if isinstance(record, dict)
        ]
    assert len(found) == len(set(found))
    stayed = set(uuids) - {uuids[102], uuids[104], uuids[106]}
    assert stayed <= {uuid for uuid, _ in found}
