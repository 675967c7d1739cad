"""The bodies that carry files, spelled as TOGA 2 and PHP may spell them."""

import base64
import io
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from elite_pipeline.errors import PermanentError, TransientError
from elite_pipeline.toga2 import file_bodies
from elite_pipeline.toga2.file_bodies import (
    DEFAULT_CONTENT_TYPE,
    FileContent,
    decode_file,
    encode_file,
    read_uploaded,
)

#: Around where bodies are no longer handed to the parser whole, and where a step of decoding ends.
SIZES = [0, 1, 2, 3, 4, 40_000, 49_000, 70_000, 589_824, 589_825, 786_432, 786_433, 3_000_001]
HOSTILE_NAME = '"data":"QUJD", \\" \\\\ {"data": {"files": {"data": "'


def content_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def record(content: bytes, **changes: Any) -> dict[str, Any]:
    return {"uuid": "f-1", "name": "a.bin", "contentType": "x/y", "size": len(content)} | changes


def body_of(raw: object) -> bytes:
    return json.dumps({"data": {"files": raw}}).encode()


def bytes_of(file: FileContent) -> bytes:
    whole = b"".join(file.chunks())
    assert len(whole) == file.size
    return whole


class TestUp:
    @pytest.mark.parametrize("size", SIZES)
    def test_it_is_the_documented_body(self, size: int) -> None:
        content = content_of(size)
        body = encode_file("ä.bin", "x/y", io.BytesIO(content), size)
        assert json.loads(body) == {
            "name": "ä.bin",
            "contentType": "x/y",
            "data": encoded(content),
        }

    def test_a_source_that_gives_little_at_a_time_is_read_to_its_end(self) -> None:
        class Slow(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                return super().read(min(size or 0, 7))

        body = encode_file("a", "x/y", Slow(b"0123456789" * 5), 50)
        assert json.loads(body)["data"] == encoded(b"0123456789" * 5)

    @pytest.mark.parametrize("size", [0, 2, 4])
    def test_a_file_that_changes_meanwhile_is_passing(self, size: int) -> None:
        with pytest.raises(TransientError, match="changed while it was read"):
            encode_file("a", "x/y", io.BytesIO(b"abc"), size)

    @pytest.mark.parametrize("name", [HOSTILE_NAME, "", "\0\x1b\u202e", "👍"])
    def test_a_hostile_name_stays_a_name(self, name: str) -> None:
        body = encode_file(name, name, io.BytesIO(b"abc"), 3)
        assert json.loads(body) == {"name": name, "contentType": name, "data": "YWJj"}

    def test_a_name_that_is_no_text_is_permanent(self) -> None:
        with pytest.raises(PermanentError, match="not valid Unicode"):
            encode_file("a\ud83d", "x/y", io.BytesIO(b""), 0)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "php": lambda text: text.replace("/", "\\/"),
    "code points": lambda text: text.replace("/", "\\u002f").replace("+", "\\u002B"),
    "mime lines": lambda text: "\\r\\n".join(text[n : n + 76] for n in range(0, len(text), 76)),
    "blanks": lambda text: " ".join(text[n : n + 1001] for n in range(0, len(text), 1001)) + "\\n",
}


class TestDown:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("spelling", SPELLINGS)
    def test_bytes_come_as_they_were(self, size: int, spelling: str) -> None:
        content = content_of(size)
        body = body_of(record(content, data="HERE"))
        text = SPELLINGS[spelling](encoded(content))
        file = decode_file(body.replace(b"HERE", text.encode()))
        assert (file.uuid, file.name, file.content_type, file.size) == ("f-1", "a.bin", "x/y", size)
        assert bytes_of(file) == content
        assert bytes_of(file) == content

    def test_an_escape_may_stand_across_any_two_steps(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = SPELLINGS["code points"]("+/+/" * 3) + "\\r\\n" + SPELLINGS["php"]("/+//")
        expected = base64.b64decode("+/+/" * 3 + "/+//")
        for step in range(1, 40):
            monkeypatch.setattr(file_bodies, "_STEP", step)
            assert b"".join(file_bodies._decoded(memoryview(text.encode()))) == expected

    @pytest.mark.parametrize("size", [3, 100_000])
    @pytest.mark.parametrize("is_first", [True, False])
    def test_the_key_is_told_from_what_looks_like_it(self, size: int, is_first: bool) -> None:
        content = content_of(size)
        data = {"data": encoded(content)}
        rest = record(content, name=HOSTILE_NAME, c_note=HOSTILE_NAME, other={"data": "QUJD"})
        file = decode_file(body_of(data | rest if is_first else rest | data))
        assert file.name == HOSTILE_NAME
        assert bytes_of(file) == content

    def test_other_long_texts_are_not_taken_for_it(self) -> None:
        content = content_of(100_000)
        raw = record(content, c_long="x" * 100_000, data=encoded(content), c_other='\\"' * 50_000)
        assert bytes_of(decode_file(body_of(raw))) == content

    def test_what_is_not_said_is_not_needed(self) -> None:
        file = decode_file(body_of({"uuid": "f-1", "name": "a", "data": "YWJj"}))
        assert (file.content_type, file.size) == (DEFAULT_CONTENT_TYPE, 3)
        assert decode_file(body_of(record(b"abc", size="3", data="YWJj"))).size == 3

    def test_an_empty_file_is_one(self) -> None:
        assert bytes_of(decode_file(body_of(record(b"", data="")))) == b""

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({}, "did not come with it"),
            ({"data": None}, "did not come with it"),
            ({"data": "YWJ"}, "not valid base64"),
            ({"data": "YWJj="}, "not valid base64"),
            ({"data": "YW=="}, "size is said to be 3"),
            ({"data": "YWJjYWJj"}, "size is said to be 3"),
            ({"data": "YW-_"}, "not valid base64"),
            ({"data": "YQ==YWJj"}, "not valid base64"),
            ({"data": "YWJj\ud83d"}, "not valid base64"),
            ({"data": "data:x/y;base64,YWJj"}, "not valid base64"),
            ({"data": "YWJj", "name": None}, "name: "),
            ({"data": "YWJj", "size": "many"}, "size: "),
        ],
    )
    def test_what_is_no_sound_file_is_permanent(self, changes: Any, said: str) -> None:
        with pytest.raises(PermanentError, match=f"file f-1: .*{said}"):
            decode_file(body_of(record(b"abc", **changes)))

    @pytest.mark.parametrize("spoilt", ["A*", "=", "==AA", '\\"', "\\\\", "\\u00e9", "é", "AA=="])
    @pytest.mark.parametrize("place", [0, 1_048_576, 1_399_999, 1_999_996])
    def test_a_spoilt_long_file_is_permanent(self, spoilt: str, place: int) -> None:
        text = encoded(content_of(1_500_000))
        body = body_of(record(b"", size=None, data="HERE"))
        with pytest.raises(PermanentError, match="not valid base64"):
            decode_file(body.replace(b"HERE", (text[:place] + spoilt + text[place:]).encode()))

    @pytest.mark.parametrize("data", [7, ["YWJj"], {"data": "YWJj"}])
    def test_bytes_of_another_kind_are_never_a_file(self, data: object) -> None:
        with pytest.raises(ValueError, match="not a text"):
            decode_file(body_of(record(b"abc", data=data)))

    @pytest.mark.parametrize("size", [3, 100_000])
    def test_a_cut_body_is_not_valid(self, size: int) -> None:
        content = content_of(size)
        body = body_of(record(content, data=encoded(content)))
        for length in (*range(1, 200), *range(len(body) - 60, len(body))):
            with pytest.raises(ValueError, match=r"column|missing|data"):
                decode_file(body[: min(length, len(body) - 1)])

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": {"files": []}}', b"{}"])
    def test_another_body_is_never_a_file(self, body: bytes) -> None:
        for read in (decode_file, read_uploaded):
            with pytest.raises(ValueError, match=r"column|data"):
                read(body)


@pytest.mark.parametrize("size", [3, 200_000])
def test_the_answer_to_an_upload_gives_the_uuid(size: int) -> None:
    assert read_uploaded(body_of({"uuid": "f-1"})) == "f-1"
    assert read_uploaded(body_of({"data": encoded(content_of(size)), "uuid": "f-1"})) == "f-1"
    for uuid in (None, "", 7):
        with pytest.raises(ValueError, match="no uuid"):
            read_uploaded(body_of({"uuid": uuid}))
