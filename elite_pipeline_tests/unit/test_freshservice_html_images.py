"""Images in texts of Freshservice: found however they are written, and nothing else changed."""

import pytest

from elite_pipeline.freshservice.html_images import embedded_images, with_sources

INLINE = "https://attachment.freshservice.com/inline/attachment?token=eyJh.eyJp.abc-_"
OLD = "/helpdesk/attachments/4000000123"
STORED = (
    "https://x.attachments.freshservice.com/data/helpdesk/attachments/production/4000000124"
    "/original/a.png?Expires=1&Signature=s"
)


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        (f'<img src="{INLINE}" class="inline-image" data-id="4000000001">', (INLINE, 4_000_000_001)),
        (f"<img src='{INLINE}' data-id='7' />", (INLINE, 7)),
        (f"<IMG DATA-ID=7 SRC={INLINE}>", (INLINE, 7)),
        (f'<img\n\tdata-id = "7"\n src =\n"{INLINE}"\n>', (INLINE, 7)),
        (f'<img src=" {INLINE} ">', (INLINE, None)),
        (f'<img alt="a > b" src="{INLINE}">', (INLINE, None)),
        (f'<img alt=\'src="x"\' src="{INLINE}">', (INLINE, None)),
        (f'<img data-src="x" src="{INLINE}">', (INLINE, None)),
        (f'<img src="{INLINE}" src="https://x.example/b.png">', (INLINE, None)),
        (f'<img/src="{INLINE}"/>', (INLINE, None)),
        (f'<img src="{INLINE}"data-id="7">', (INLINE, 7)),
        (f'<img src="{INLINE}&amp;size=2" data-id="">', (f"{INLINE}&size=2", None)),
        (f'<img src="{INLINE}" data-id="x">', (INLINE, None)),
        (f'<img src="{INLINE}" data-id="0">', (INLINE, None)),
        (f'<img src="{INLINE}" data-id="{"9" * 400}">', (INLINE, None)),
        (f'<img src="{INLINE.replace("attachment.", "eucattachment.", 1)}">',
         (INLINE.replace("attachment.", "eucattachment.", 1), None)),
        (f'<img src="{OLD}">', (OLD, 4_000_000_123)),
        (f'<img src="https://x.freshservice.com{OLD}/">',
         (f"https://x.freshservice.com{OLD}/", 4_000_000_123)),
        (f'<img src="{OLD}" data-id="5">', (OLD, 5)),
        (f'<img src="{STORED.replace("&", "&amp;")}">', (STORED, 4_000_000_124)),
    ],
)  # fmt: skip
def test_an_image_that_freshservice_keeps_is_found(tag: str, found: tuple[str, int | None]) -> None:
    (image,) = embedded_images(f"<p>before {tag} behind</p>")
    assert (image.src, image.attachment_id) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no HTML at all",
        '<img src="https://x.example/logo.png">',
        '<img src="cid:image001.png@01D9">',
        '<img src="data:image/png;base64,AAAA">',
        '<img src="">',
        "<img>",
        f'<a href="{INLINE}">a link</a>',
        f'<image src="{INLINE}">',
        f'<imgx src="{INLINE}">',
        f'<img data-src="{INLINE}">',
        f'<img x.src="{INLINE}">',
        f'<img src="{INLINE}',
        '<img src="http://[broken/inline/attachment">',
        '<img src="/helpdesk/attachments/٤">',
        '<img src="/helpdesk/attachments/abc">',
        f'&lt;img src="{INLINE}"&gt;',
    ],
)
def test_what_is_none_is_left_alone(text: str) -> None:
    assert embedded_images(text) == []
    assert with_sources(text, {INLINE: "new", "": "new"}) == text


def test_they_come_in_their_order_also_one_that_stands_there_twice() -> None:
    text = f'<img src="{OLD}"><p>x</p><img src="{INLINE}" data-id="1"><img src="{OLD}">'
    assert [image.attachment_id for image in embedded_images(text)] == [
        4_000_000_123,
        1,
        4_000_000_123,
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="{}">', '<img src="{}">'),
        ("<img src='{}'>", "<img src='{}'>"),
        ("<img src={} >", '<img src="{}" >'),
        ("<IMG\r\n  SRC = \"{}\"\tdata-id='7'/>", "<IMG\r\n  SRC = \"{}\"\tdata-id='7'/>"),
        ('<p title="é😀">&nbsp;<img  src="{}" src=y>\r\n',) * 2,
    ],
)
def test_only_the_source_is_changed(before: str, after: str) -> None:
    text = f"{before.format(INLINE)} … {before.format(OLD)} … {before.format('https://x/y.png')}"
    new = with_sources(text, {INLINE: "https://t/files/1?a=b&c='\"<", OLD: ""})
    first, second = (
        after.format("https://t/files/1?a=b&amp;c=&#x27;&quot;&lt;"),
        after.format(""),
    )
    assert new == f"{first} … {second} … {before.format('https://x/y.png')}"


def test_a_source_is_replaced_wherever_it_stands_and_no_other() -> None:
    text = f'<img src="{OLD}"><img src="{INLINE}"><img src="{OLD}">{OLD}'
    assert with_sources(text, {OLD: "x"}) == f'<img src="x"><img src="{INLINE}"><img src="x">{OLD}'


@pytest.mark.parametrize(
    "piece",
    [
        "<img ",
        '<img "',
        "<img '",
        "<img \"'",
        '<img src="',
        "<img a=",
        "<img alt=\"<img alt='",
        "<img/",
        "<",
    ],
)
def test_a_text_made_to_be_slow_is_not(piece: str) -> None:
    text = piece * (400_000 // len(piece))
    # one that tries everything again from each tag takes longer than any test may
    embedded_images(text)
    embedded_images(f"<img {piece.removeprefix('<img ')}{'a ' * 200_000}")
