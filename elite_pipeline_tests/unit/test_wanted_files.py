"""What the files of an internal note are called in the helpdesk."""

import pytest

from elite_pipeline.sync.wanted_files import note_start, private_tag


@pytest.mark.parametrize(
    ("note", "tag"),
    [
        ("5F0C2A1B-77aa-4d2e-9c3b-2f6f0d9b8c11", "note-5f0c2a1b77aa-"),
        ("5f0c2a1b_77aa.4d2e", "note-5f0c2a1b77aa-"),
        ("note 7", "note-note7-"),
        ("n-1", "note-n1-"),
        ("--", "note--"),
        ("", "note--"),
    ],
)
def test_tag_is_the_beginning_of_the_uuid(note: str, tag: str) -> None:
    assert private_tag(note) == tag


def test_file_says_how_its_note_begins() -> None:
    assert note_start(f"{private_tag('5F0C2A1B-77aa-4d2e')}a.png") == "5f0c2a1b"
    assert note_start("note.txt") == ""
