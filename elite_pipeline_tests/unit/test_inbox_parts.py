"""The receiver's parts that need no socket: entrances, bodies as text, headers, room, what is told."""

import asyncio
import base64
import gzip
import json
import zlib

import pytest

from elite_pipeline.inbox import bodies, headers
from elite_pipeline.inbox.entrances import Entrance
from elite_pipeline.inbox.seldom import Seldom
from elite_pipeline.transport import Redactor

SECRET = "s3cret:with-ümlaut"


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    "given",
    [
        [(b"x-webhook-secret", SECRET.encode())],
        [(b"x-webhook-secret", SECRET.encode("latin-1"))],
        [(b"x-webhook-secret", b" " + SECRET.encode() + b" ")],
        [(b"authorization", basic(b"anybody:" + SECRET.encode()))],
        [(b"authorization", basic(b":" + SECRET.encode()))],
        [(b"authorization", basic(b"anybody:" + SECRET.encode()).replace(b"Basic", b"bASIC"))],
        [(b"x-webhook-secret", b"old"), (b"x-webhook-secret", SECRET.encode())],
        [(b"x-webhook-secret", b"old"), (b"authorization", basic(b"u:" + SECRET.encode()))],
    ],
)
def test_who_knows_the_secret_comes_in(given: list[tuple[bytes, bytes]]) -> None:
    assert Entrance("elite", "Elite/Webhook", SECRET).opens_for(given)


@pytest.mark.parametrize(
    "given",
    [
        [],
        [(b"x-webhook-secret", b"")],
        [(b"x-webhook-secret", SECRET.encode()[:-1])],
        [(b"x-webhook-secret", SECRET.upper().encode())],
        [(b"x-webhook-secret", b"\xff\xfe")],
        [(b"x-secret", SECRET.encode())],
        [(b"authorization", b"Bearer " + SECRET.encode())],
        [(b"authorization", b"Basic " + SECRET.encode())],
        [(b"authorization", b"Basic")],
        [(b"authorization", b"Basic ====")],
        [(b"authorization", basic(SECRET.encode()))],
        [(b"authorization", basic(SECRET.encode() + b":x"))],
        [(b"authorization", basic(b"\xff:\xff"))],
    ],
)
def test_who_does_not_stays_outside(given: list[tuple[bytes, bytes]]) -> None:
    assert not Entrance("elite", "Elite/Webhook", SECRET).opens_for(given)


@pytest.mark.parametrize(
    ("body", "kind", "text", "encoding"),
    [
        (b'{"id": 5}', "application/json", '{"id": 5}', "utf-8"),
        ("Grüße 😀".encode(), "", "Grüße 😀", "utf-8"),
        ("Grüße".encode("latin-1"), "text/plain", "Grüße", "latin-1"),
        ("“x”".encode("cp1252"), "text/plain; charset=windows-1252", "“x”", "cp1252"),
        ("“x”".encode("cp1252"), "text/plain; charset=none-such", "\x93x\x94", "latin-1"),
        ("日本".encode("shift_jis"), 'text/plain; charset="Shift_JIS"', "日本", "shift_jis"),
        ("ab".encode("utf-16"), "application/json", "\ufeffab", "utf-16-le"),
        ("ab".encode("utf-16-be"), "text/plain; charset=utf-16be", "ab", "utf-16-be"),
        (b"a\0b", "text/plain; charset=rot13", "a\0b", "utf-8"),
        (b"\xff\xfea", "", "\xff\xfea", "latin-1"),
        (b"\xed\xa0\x80", "text/plain; charset=utf-8", "\xed\xa0\x80", "latin-1"),
        (b"", "", "", "utf-8"),
    ],
)
def test_a_body_is_text_that_gives_its_bytes_back(
    body: bytes, kind: str, text: str, encoding: str
) -> None:
    assert bodies.as_text(body, {"content-type": kind}) == (text, encoding)
    assert text.encode(encoding) == body


def test_any_bytes_come_back() -> None:
    every = bytes(range(256)) * 3
    for charset in (
        "",
        "utf-16",
        "utf-32",
        "cp1252",
        "utf-7",
        "idna",
        "hex",
        "unicode_escape",
        "undefined",
    ):
        text, encoding = bodies.as_text(every, {"content-type": f"text/plain; charset={charset}"})
        assert text.encode(encoding) == every


def test_a_compressed_body_is_unpacked_and_no_bomb_is() -> None:
    body = b'{"id": 5}' * 100
    assert bodies.unpacked(gzip.compress(body), {"content-encoding": "gzip"}) == body
    assert bodies.unpacked(zlib.compress(body), {"content-encoding": "deflate"}) == body
    bare = zlib.compress(body)[2:-4]
    assert bodies.unpacked(bare, {"content-encoding": "deflate"}) == body
    parts = gzip.compress(b"one, ") + gzip.compress(b"two")
    assert bodies.unpacked(parts, {"content-encoding": " GZIP"}) == b"one, two"
    for broken in (
        b"",
        b"no gzip",
        gzip.compress(body, mtime=0)[:-9],
        gzip.compress(body) + b"and more",
        gzip.compress(b"") * 1_000,
    ):
        assert bodies.unpacked(broken, {"content-encoding": "gzip"}) == broken
    assert bodies.unpacked(body, {"content-encoding": "br"}) == body
    half = gzip.compress(b"a" * (bodies.MOST_BYTES // 2))
    assert len(bodies.unpacked(half * 2, {"content-encoding": "gzip"})) == bodies.MOST_BYTES
    for bomb in (gzip.compress(b"a" * (50 << 20)), half * 3):
        with pytest.raises(bodies.TooLargeError):
            bodies.unpacked(bomb, {"content-encoding": "gzip"})


def test_headers_are_kept_without_secrets() -> None:
    given = headers.read(
        [
            (b"host", b"x"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
            (b"authorization", b"Basic abc"),
            (b"x-webhook-secret", b"hidden"),
            (b"cookie", b"a=b"),
            (b"x-api-key", b"hidden"),
            (b"x-pasted", b'hunter2"hunter2'),
            (b"x-payload-encoding", b"made up"),
            (b"x-latin", b"\xfc"),
            (b"x-pasted-latin", "a sécret".encode("latin-1")),
            (b"x-pasted-utf-8", "a sécret".encode()),
        ]
    )
    kept = headers.kept(given, "latin-1", Redactor(['hunter2"hunter2', "sécret"]))
    assert json.loads(kept) == {
        "host": "x",
        "x-a": "1, 2",
        "x-pasted": "[redacted]",
        "x-payload-encoding": "latin-1",
        "x-latin": "ü",
        "x-pasted-latin": "a [redacted]",
        "x-pasted-utf-8": "a [redacted]",
    }


def test_headers_that_fit_no_column_are_shortened() -> None:
    for given in ({"x-long": "ü" * 60_000}, {f"x-{number}": "€" * 2_000 for number in range(30)}):
        kept = headers.kept({"host": "x", **given}, "utf-8", Redactor())
        assert len(kept.encode()) < 65_536
        assert json.loads(kept)["x-payload-encoding"] == "utf-8"


def test_room_is_given_in_turn_and_comes_back() -> None:
    async def work() -> None:
        room = bodies.Room(10_000, seconds=30)
        order: list[str] = []

        async def hold(name: str, size: int, until: asyncio.Event) -> None:
            async with room.held(size):
                order.append(name)
                await until.wait()

        first, later = asyncio.Event(), asyncio.Event()
        later.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hold("first", 8_000, first))
            await asyncio.sleep(0)
            large = tasks.create_task(hold("large", 9_000, later))
            gone = tasks.create_task(hold("gone", 9_000, later))
            tasks.create_task(hold("small", 1, later))
            await asyncio.sleep(0)
            assert order == ["first"], "who came first is first, also if a smaller one would fit"
            gone.cancel()
            first.set()
            await large
        assert order == ["first", "large", "small"]
        async with room.held(10_000):
            order.append("all")

    asyncio.run(work())


def test_who_finds_no_room_in_time_is_told() -> None:
    async def work() -> None:
        room = bodies.Room(10_000, seconds=0.01)
        async with room.held(10_000):
            with pytest.raises(bodies.FullError):
                async with room.held(1):
                    raise AssertionError("there was room")
        async with room.held(10_000):
            pass

    asyncio.run(work())


def test_the_same_is_told_once_a_minute() -> None:
    moments = iter([0.0, 1.0, 59.0, 59.0, 61.0])
    told: list[str] = []
    seldom = Seldom(told.append, clock=lambda: next(moments))
    for sentence in ("a", "a", "a", "b"):
        seldom(sentence)
    assert told == ["a", "b"]
    seldom("a")
    assert told == ["a", "b", "a"]
