"""The sandbox's Freshservice: links to attachments and embedded images."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from elite_pipeline.sandbox.freshservice import Account, File, FreshserviceSandbox, Image
from elite_pipeline.sandbox.freshservice.links import ImageStyle
from elite_pipeline_tests.support.freshservice import Desk, running_freshservice
from elite_pipeline_tests.support.toga2_wire import Clock

_SOURCE = re.compile(r"""src\s*=\s*["']([^"']+)["']""")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sandbox(clock: Clock) -> Iterator[FreshserviceSandbox]:
    with running_freshservice(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def account(sandbox: FreshserviceSandbox) -> Account:
    return sandbox.account("elite")


@pytest.fixture
def desk(account: Account) -> Desk:
    return Desk(account)


def link(desk: Desk, ticket: int = 1) -> str:
    return str(desk.get(f"/tickets/{ticket}")["ticket"]["attachments"][0]["attachment_url"])


def image_source(desk: Desk, ticket: int = 1) -> str:
    found = _SOURCE.search(desk.get(f"/tickets/{ticket}")["ticket"]["description"])
    assert found is not None
    return found[1]


def test_a_link_leads_to_the_bytes(desk: Desk, account: Account) -> None:
    file = File("Übersicht (1)/a?.png", b"\x89PNG bytes", "application/x-whatever")
    account.new_ticket(files=[file])
    attachment = desk.get("/tickets/1")["ticket"]["attachments"][0]
    answer = desk.download(attachment["attachment_url"])

    assert (answer.status_code, answer.content) == (200, b"\x89PNG bytes")
    assert answer.headers["Content-Type"] == "application/x-whatever"
    assert attachment["name"] == "Übersicht (1)/a?.png"
    assert attachment["size"] == 10
    assert [call.status for call in account.downloads] == [200]


def test_a_link_is_on_another_host_and_another_each_time(desk: Desk, account: Account) -> None:
    account.new_ticket(files=["photo.png"])
    first, second = link(desk), link(desk)

    assert first != second
    assert urlsplit(first).hostname != urlsplit(account.base_url).hostname
    path = urlsplit(first).path
    assert re.fullmatch(r"/data/helpdesk/attachments/production/\d+/original/photo\.png", path)
    assert "Expires=" in first
    assert "Signature=" in first
    assert desk.download(first).content == desk.download(second).content


def test_who_sends_the_key_has_leaked_it(desk: Desk, account: Account) -> None:
    account.new_ticket(files=["photo.png"], images=["photo.png"])
    for url in (link(desk), image_source(desk), f"{account.base_url}/helpdesk/attachments/1"):
        assert desk.session.get(url, timeout=10).status_code == 400

    assert account.leaks == 3
    # downloads count for no limit
    assert account.most_calls_in_60s() == 2


def test_a_link_expires(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account, clock: Clock
) -> None:
    account.new_ticket(files=["photo.png"])
    sandbox.settings.link_lifetime_seconds = 100
    url = link(desk)
    clock.advance(99)
    assert desk.download(url).status_code == 200
    clock.advance(1)
    assert desk.download(url).status_code == 403
    assert desk.download(link(desk)).status_code == 200


def test_all_links_expire_on_request(desk: Desk, account: Account) -> None:
    account.new_ticket(files=["photo.png"])
    url = link(desk)
    account.expire_links()

    assert desk.download(url).status_code == 403
    assert desk.download(link(desk)).status_code == 200


def test_a_link_cannot_be_made_up(desk: Desk, account: Account) -> None:
    account.new_ticket(files=["photo.png", "other.png"])
    url = link(desk)
    number = re.search(r"production/(\d+)", url)
    assert number is not None
    for forged in (
        url.replace(number[1], str(int(number[1]) + 3)),
        re.sub(r"Expires=\d+", "Expires=99999999999", url),
        re.sub(r"Signature=[^&]+", "Signature=x", url),
        url.partition("?")[0],
        url.replace("localhost", "127.0.0.1"),
        f"{account.base_url.replace('127.0.0.1', 'localhost')}/inline/attachment?token=a.b.c",
        f"{account.base_url.replace('127.0.0.1', 'localhost')}/inline/attachment",
    ):
        assert desk.download(forged).status_code == 403, forged
    assert desk.download(f"{account.base_url}/data/nothing").status_code == 404
    assert desk.download(f"{account.base_url}/helpdesk/attachments/1").status_code == 404


@pytest.mark.parametrize("style", ["plain", "spaced", "no-id", "legacy", "legacy-address"])
def test_an_embedded_image_is_in_the_body_alone(
    desk: Desk, account: Account, style: ImageStyle
) -> None:
    image = Image("image001.png", b"image bytes", "image/png", style)
    ticket = account.new_ticket(description="<p>See:</p>", images=[image])
    account.reply(ticket, "<p>Here</p>", images=[image])

    described = desk.get(f"/tickets/{ticket}", include="conversations")["ticket"]
    assert described["attachments"] == []
    assert described["description"].startswith("<p>See:</p><p><img ")
    [conversation] = described["conversations"]
    assert conversation["attachments"] == []
    for body in (described["description"], conversation["body"]):
        found = _SOURCE.search(body)
        assert found is not None
        url = found[1] if "://" in found[1] else account.base_url + found[1]
        answer = desk.download(url)
        assert (answer.status_code, answer.content) == (200, b"image bytes")
        assert answer.headers["Content-Disposition"].endswith("image001.png")
        assert ("data-id" in body) == (style in ("plain", "spaced"))


def test_links_of_embedded_images_stay_unless_told(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account, clock: Clock
) -> None:
    account.new_ticket(images=["photo.png"])
    url = image_source(desk)
    clock.advance(1_000_000)
    account.expire_links()
    assert desk.download(url).status_code == 200
    assert image_source(desk) == url

    sandbox.settings.inline_expire = True
    url = image_source(desk)
    assert desk.download(url).status_code == 200
    account.expire_links()
    assert desk.download(url).status_code == 403


def test_the_old_address_can_redirect(
    sandbox: FreshserviceSandbox, desk: Desk, account: Account
) -> None:
    sandbox.settings.legacy_redirects = True
    account.new_ticket(images=[Image("photo.png", b"bytes", style="legacy")])
    answer = desk.download(account.base_url + image_source(desk))

    assert answer.status_code == 302
    assert desk.download(answer.headers["Location"]).content == b"bytes"
