"""What changes in Freshservice stands in TOGA 2: tickets, conversations, files, and once only."""

from typing import Any
from unittest.mock import patch

import pytest

from elite_pipeline.sandbox.freshservice import Image, Status
from elite_pipeline.toga2.client import Toga2Client
from elite_pipeline_tests.support.service_desk import ServiceDesk, assert_quiet

pytestmark = pytest.mark.parametrize("helpdesk", ["sqlite"], indirect=True)


class TestCarrying:
    def test_ticket_stands_with_all_that_it_names(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        path = next(one for one in account.categories if len(one) == 3)
        group = account.groups[0]
        number = account.new_ticket(
            "Café is closed ☕", "<div>Since <b>nine</b></div>", category=path, group_id=group,
            priority=4, status=3,
        )  # fmt: skip
        service_desk.hint(number)

        result = service_desk.sync()

        made = service_desk.ticket(number)
        assert (made["subject"], made["description"]) == (
            "Café is closed ☕",
            "<div>Since <b>nine</b></div>",
        )
        assert (made["status"], made["priority"]) == ("PENDING", "URGENT")
        assert made["contact"]["c_eliteUserId"] == str(account.requesters[0])
        assert made["ticketTeam"]["c_eliteGroupId"] == str(group)
        assert made["ticketCategory"]["name"] == path[-1].strip()
        assert made["ticketCategory"]["parent"]["name"] == path[-2].strip()
        assert (result.created, result.failed) == (1, 0)
        assert service_desk.rows() == ["DONE"]
        assert_quiet(service_desk)

    def test_conversations_become_notes_in_the_order_of_time(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        service_desk.sandbox.settings.conversation_order = "newest"
        number = account.new_ticket()
        account.reply(number, "<div>One</div>")
        account.reply(number, "<div>Two, for us</div>", private=True)
        account.reply(number, "<div>Three</div>", author=account.agents[0])
        service_desk.hint(number)

        service_desk.sync()

        notes = service_desk.notes(number)
        assert [(note["isExternal"], note["body"]) for note in notes] == [
            (True, "<div>One</div>"),
            (False, "<div>Two, for us</div>"),
            (True, "<div>Three</div>"),
        ]
        assert all(note["authorEmail"] for note in notes)
        assert_quiet(service_desk)

    def test_all_pages_of_conversations_are_read(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        for place in range(105):
            account.reply(number, f"<div>{place}</div>")
        service_desk.hint(number)
        service_desk.sync()
        bodies = [note["body"] for note in service_desk.notes(number)]
        assert bodies == [f"<div>{place}</div>" for place in range(105)]

    def test_hints_fold_into_one_fetch_a_ticket(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        numbers = [account.new_ticket() for _ in range(4)]
        for _ in range(10):
            for number in numbers:
                service_desk.hint(number)
        service_desk.sync()
        sandbox = service_desk.sandbox
        assert sandbox.count(route="/tickets/{id}") == 4
        assert sandbox.count(route="/tickets/{id}/conversations") == 4
        assert sandbox.count(route="/requesters/{id}") == 1
        assert service_desk.rows() == ["DONE"] * 40

    def test_trash_and_spam_are_counted_and_not_carried(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        numbers = [account.new_ticket() for _ in range(3)]
        account.delete(numbers[0])
        account.spam(numbers[1])
        for number in numbers:
            service_desk.hint(number)
        result = service_desk.sync()
        assert result.details["tickets in the trash"] == 1
        assert result.details["tickets marked as spam"] == 1
        assert [one["c_eliteTicketId"] for one in service_desk.tickets()] == [str(numbers[2])]
        assert service_desk.rows() == ["DONE"] * 3

    def test_what_was_carried_before_it_went_to_the_trash_stays(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket("Kept")
        service_desk.hint(number)
        service_desk.sync()
        account.delete(number)
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.ticket(number)["subject"] == "Kept"

    def test_merged_ticket_is_closed_and_its_notes_stand_once(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        one, other = account.new_ticket("One"), account.new_ticket("Other")
        account.reply(one, "<div>Mine</div>")
        account.merge(one, other)
        service_desk.hint(one)
        service_desk.hint(other)
        service_desk.sync()
        assert service_desk.ticket(one)["status"] == "CLOSED"
        assert [note["isExternal"] for note in service_desk.notes(one)] == [True, False]
        assert_quiet(service_desk)

    def test_contact_of_the_same_address_is_adopted_however_it_is_written(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        there = service_desk.systems.toga2_store.create(
            "elite", "contacts", {"firstName": "Ada", "email": "ada@example.com"}
        )
        asking = account.add_requester("Ada", "Lovelace", "Ada@Example.com")
        service_desk.hint(account.new_ticket(requester=asking))
        service_desk.sync()
        ((uuid, name, key),) = [
            (one["uuid"], one["lastName"], one["c_eliteUserId"])
            for one in service_desk.all("contacts", depth=1)
        ]
        assert (uuid, name, key) == (there["uuid"], "Lovelace", str(asking))


class TestChanges:
    def test_what_changes_in_freshservice_follows(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket("Before")
        reply = account.reply(number, "<div>Tpyo</div>")
        service_desk.hint(number)
        service_desk.sync()
        account.update(number, subject="After", status=4)
        account.edit_reply(reply, body="<div>Typo</div>")
        service_desk.hint(number)
        result = service_desk.sync()
        made = service_desk.ticket(number)
        assert (made["subject"], made["status"]) == ("After", "RESOLVED")
        assert [note["body"] for note in service_desk.notes(number)] == ["<div>Typo</div>"]
        assert result.updated == 1
        assert_quiet(service_desk)

    def test_replayed_webhook_undoes_nothing_that_people_did_elsewhere(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        service_desk.hint(number)
        service_desk.sync()
        uuid = service_desk.ticket(number)["uuid"]
        service_desk.systems.toga2_store.update(
            "elite", "tickets", uuid, {"status": "CLOSED", "subject": "Renamed here"}
        )
        service_desk.hint(number)
        service_desk.sync()
        made = service_desk.ticket(number)
        assert (made["status"], made["subject"]) == ("CLOSED", "Renamed here")

    def test_note_follows_into_privacy_and_out_of_it(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        reply = account.reply(number)
        seen = []
        for private in (False, True, False):
            account.edit_reply(reply, private=private)
            service_desk.hint(number)
            service_desk.sync()
            seen += [note["isExternal"] for note in service_desk.notes(number)]
        assert seen == [True, False, True]

    def test_private_conversation_is_never_public_even_if_somebody_made_it_so(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        account.reply(number, private=True)
        service_desk.hint(number)
        service_desk.sync()
        (note,) = service_desk.notes(number)
        service_desk.systems.toga2_store.update(
            "elite", "ticket-notes", note["uuid"], {"isExternal": True}
        )
        service_desk.hint(number)
        service_desk.sync()
        assert [note["isExternal"] for note in service_desk.notes(number)] == [False]

    def test_conversation_becomes_private_also_while_something_of_its_ticket_waits(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        first, second = account.reply(number), account.reply(number)
        service_desk.hint(number)
        service_desk.sync()
        account.edit_reply(first, body="<div>Edited</div>")
        service_desk.systems.toga2.faults.add(
            Status(503), method="PATCH", route="/ticket-notes/{uuid}", times=3
        )
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.letters() == [(f"conversation {first}", "transient", False)]
        for reply in (first, second):
            account.edit_reply(reply, private=True)
        service_desk.hint(number)
        service_desk.sync()
        assert [note["isExternal"] for note in service_desk.notes(number)] == [False, False]

    def test_conversation_that_became_private_and_malformed_does_not_stay_public(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        reply = account.reply(number)
        service_desk.hint(number)
        service_desk.sync()
        account.edit_reply(reply, private=True, user_id={"not": "a number"})
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.letters() == [(f"conversation {reply}", "permanent", False)]
        assert [note["isExternal"] for note in service_desk.notes(number)] == [False]

    def test_note_that_cannot_be_read_follows_its_conversation_into_privacy(
        self, service_desk: ServiceDesk
    ) -> None:
        account, store = service_desk.account, service_desk.systems.toga2_store
        number = account.new_ticket()
        reply = account.reply(number)
        service_desk.hint(number)
        service_desk.sync()
        (note,) = service_desk.notes(number)
        raw = store.get("elite", "ticket-notes", note["uuid"])
        store.put_raw("elite", "ticket-notes", {**raw, "authorName": {"x": 1}})
        account.edit_reply(reply, private=True)
        service_desk.hint(number)
        patched = []
        update = Toga2Client.update

        def noting(self: Toga2Client, resource: Any, uuid: str, fields: Any) -> Any:
            patched.append((uuid, fields))
            return update(self, resource, uuid, fields)

        with patch.object(Toga2Client, "update", noting):
            service_desk.sync()
        assert (note["uuid"], {"isExternal": False}) in patched
        assert service_desk.letters() == [(f"conversation {reply}", "permanent", False)]
        # made once: what cannot be read is not taken for what is not there
        assert len(service_desk.all("ticket-notes")) == 1

    def test_status_without_counterpart_is_one_dead_letter(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket(status=9)
        account.reply(number)
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.letters() == [("status", "permanent", False)]
        assert len(service_desk.notes(number)) == 1
        assert service_desk.rows() == ["DONE"]
        account.set_status(number, 5)
        service_desk.hint(number)
        service_desk.systems.later_by(minutes=5)
        service_desk.sync()
        assert service_desk.letters() == []
        assert service_desk.ticket(number)["status"] == "CLOSED"


class TestFiles:
    def test_attachments_of_ticket_and_conversation_arrive(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket(files=[("log.txt", b"one"), ("log.txt", b"other")])
        account.reply(number, files=[("image001.png", b"\x89PNG 1"), ("empty.bin", b"")])
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.files_of(service_desk.carrier(number)) == [
            ("log.txt", b"one"),
            ("log.txt", b"other"),
        ]
        (note,) = service_desk.notes(number)
        assert service_desk.files_of(note) == [("empty.bin", b""), ("image001.png", b"\x89PNG 1")]
        assert account.leaks == 0
        assert_quiet(service_desk)
        assert service_desk.sandbox.count(route="/attachments/{id}") == 4

    @pytest.mark.parametrize("place", ["description", "reply"])
    def test_embedded_image_points_at_the_stored_file(
        self, service_desk: ServiceDesk, place: str
    ) -> None:
        account = service_desk.account
        image = ("shot.png", b"\x89PNG 2")
        number = account.new_ticket(images=[image] if place == "description" else [])
        if place == "reply":
            account.reply(number, images=[image])
        service_desk.hint(number)
        service_desk.sync()
        if place == "reply":
            (note,) = service_desk.notes(number)
            text = note["body"]
        else:
            note = service_desk.carrier(number)
            text = service_desk.ticket(number)["description"]
        ((_, content),) = service_desk.files_of(note)
        assert content == b"\x89PNG 2"
        (link,) = note["ticketNoteFiles"]
        assert f"/files/{link['file']['uuid']}" in text
        assert "token=" not in text
        assert "attachment" not in text.partition("src=")[2].partition(">")[0].partition(" ")[0]
        assert_quiet(service_desk)

    def test_expired_link_is_listed_again_once(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        account.reply(number, files=[("a.txt", b"a")])
        service_desk.hint(number)
        service_desk.sandbox.fault(Status(403), route="/attachments/{id}")
        result = service_desk.sync()
        assert result.failed == 0
        (note,) = service_desk.notes(number)
        assert service_desk.files_of(note) == [("a.txt", b"a")]
        assert service_desk.sandbox.count(route="/tickets/{id}/conversations") == 2

    def test_link_that_is_expired_twice_waits_for_the_next_run(
        self, service_desk: ServiceDesk
    ) -> None:
        account = service_desk.account
        number = account.new_ticket()
        reply = account.reply(number, files=[("a.txt", b"a")])
        attachment = account.attachments(reply)[0].id
        account.reply(number, "<div>Later</div>")
        service_desk.sandbox.fault(Status(403), route="/attachments/{id}", times=2)
        service_desk.hint(number)
        service_desk.sync()
        assert service_desk.letters() == [
            (f"attachment {attachment} of conversation {reply}", "transient", False)
        ]
        # the rest of the ticket went on, and its row is done: the letter knows what lacks
        assert len(service_desk.notes(number)) == 2
        assert service_desk.rows() == ["DONE"]
        service_desk.systems.later_by(minutes=5)
        service_desk.sync()
        assert service_desk.letters() == []
        assert service_desk.files_of(service_desk.notes(number)[0]) == [("a.txt", b"a")]

    def test_image_that_does_not_come_is_put_in_later(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        account.reply(number, "<div>See</div>", images=[("shot.png", b"\x89PNG 3")])
        service_desk.sandbox.fault(Status(503), route="/attachments/{id}", times=3)
        service_desk.hint(number)
        service_desk.sync()
        (note,) = service_desk.notes(number)
        assert 'src=""' in note["body"]
        assert [kind for _, kind, _ in service_desk.letters()] == ["transient"]
        service_desk.systems.later_by(minutes=5)
        service_desk.sync()
        (note,) = service_desk.notes(number)
        (link,) = note["ticketNoteFiles"]
        assert f"/files/{link['file']['uuid']}" in note["body"]
        assert service_desk.letters() == []
        assert_quiet(service_desk)

    def test_page_in_the_place_of_an_image_is_not_stored(self, service_desk: ServiceDesk) -> None:
        account = service_desk.account
        number = account.new_ticket()
        account.reply(
            number, images=[Image("shot.png", b"<html>Please sign in</html>", "text/html")]
        )
        service_desk.hint(number)
        service_desk.sync()
        (note,) = service_desk.notes(number)
        assert service_desk.files_of(note) == []
        assert [kind for _, kind, _ in service_desk.letters()] == ["permanent"]
