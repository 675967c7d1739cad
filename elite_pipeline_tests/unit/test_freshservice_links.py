"""Where links to files may lead: to the hosts of the list by https, and nowhere else."""

import pytest

from elite_pipeline.errors import ForbiddenHostError
from elite_pipeline.freshservice.links import LinkRules
from elite_pipeline.freshservice_entry import DEFAULT_ATTACHMENT_HOSTS

RULES = LinkRules(DEFAULT_ATTACHMENT_HOSTS)
SIGNED = "Expires=1781078400&Signature=made-up"


@pytest.mark.parametrize(
    "link",
    [
        f"https://x.attachments.freshservice.com/data/a/b.png?{SIGNED}",
        f"https://X.Attachments.FreshService.COM:443/data/a?{SIGNED}",
        "https://attachment.freshservice.com/inline/attachment?token=e30.e30.x",
        "https://eucattachment.freshservice.com/inline/attachment?token=e30.e30.x",
        "https://cdn.s3.eu-central-1.amazonaws.com/data/a%20b.png?X-Amz-Signature=1",
        "https://amazonaws.com",
    ],
)
def test_a_host_of_the_list_and_those_below_it_are_fine(link: str) -> None:
    RULES.check(link)


@pytest.mark.parametrize(
    "link",
    [
        # other hosts, made to look like one of the list
        "https://evilamazonaws.com/a",
        "https://amazonaws.com.evil.example/a",
        "https://amazonaws.com@evil.example/a",
        "https://user:secret@amazonaws.com/a",
        "https://evil.example/amazonaws.com",
        "https://evil.example#.amazonaws.com",
        "https://evil.example?.amazonaws.com",
        "https://evil.example\\.amazonaws.com/a",
        "https://evil.example%2f.amazonaws.com/a",
        "https://evil.example%00.amazonaws.com/a",
        "https://\u0430mazonaws.com/a",
        "https://amazonaws。com/a",
        "https://.amazonaws.com/a",
        "https://amazonaws.com./a",
        "https://a..amazonaws.com/a",
        "https://-a.amazonaws.com/a",
        # the account itself is not one of them
        "https://x.freshservice.com/a",
        # not by its name
        "https://93.184.216.34/a",
        "https://169.254.169.254/latest/meta-data/",
        "https://2130706433/a",
        "https://0x7f.0.0.1/a",
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://127.0.0.1/a",
        "https://localhost/a",
        # not https on its own port
        "http://x.attachments.freshservice.com/a",
        "https://x.attachments.freshservice.com:8443/a",
        "https://x.attachments.freshservice.com:0/a",
        "https://x.attachments.freshservice.com:99999/a",
        "https://x.attachments.freshservice.com:80a/a",
        "ftp://x.attachments.freshservice.com/a",
        "file:///etc/passwd",
        "file://amazonaws.com/etc/passwd",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "//amazonaws.com/a",
        "/helpdesk/attachments/5",
        "",
        "https://",
        "https:///a",
        " https://amazonaws.com/a",
        "https://amazonaws.com/a b",
        "https://amazonaws.com/a\r\nX-Injected: 1",
        "https://amazonaws.com/a\n",
        "https://amazon\taws.com/a",
    ],
)
def test_everything_else_is_refused_without_repeating_what_opens_it(link: str) -> None:
    with pytest.raises(ForbiddenHostError) as caught:
        RULES.check(f"{link}?{SIGNED}" if link.startswith("https://evil") else link)
    said = str(caught.value)
    assert caught.value.kind == "permanent"
    assert "was not followed" in said
    assert "made-up" not in said
    assert "secret" not in said
    assert "\n" not in said


def test_what_is_said_names_the_host_and_what_to_do() -> None:
    with pytest.raises(ForbiddenHostError, match=r"files\.example.*freshservice\.attachment_hosts"):
        RULES.check("https://files.example/a")
    with pytest.raises(ForbiddenHostError, match=r"amazonaws\.com is not https"):
        RULES.check("http://amazonaws.com/a")


class TestASandbox:
    rules = LinkRules(["127.0.0.1", "::1", "attachments.freshservice.com"])

    @pytest.mark.parametrize(
        "link", ["http://127.0.0.1:8092/a", "https://127.0.0.1/a", "http://[::1]:8092/a"]
    )
    def test_this_machine_is_fine_where_it_is_listed_on_any_port(self, link: str) -> None:
        self.rules.check(link)

    @pytest.mark.parametrize(
        "link",
        [
            "http://127.0.0.2:8092/a",
            "http://localhost:8092/a",
            "http://a.127.0.0.1:8092/a",
            "http://127.0.0.1@evil.example/a",
            "http://127.1:8092/a",
            "http://[::ffff:7f00:1]/a",
        ],
    )
    def test_it_stands_for_itself_alone(self, link: str) -> None:
        with pytest.raises(ForbiddenHostError):
            self.rules.check(link)
