"""The pipeline's own memory, on SQLite and on a server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from elite_pipeline.errors import ConfigurationError, PipelineError, SystemicError
from elite_pipeline.ledger import Ledger, SeenVersion, Waiting
from elite_pipeline_tests.support.helpdesks import Helpdesk, Opener

Open = Callable[[str], Ledger]


@pytest.fixture(params=["sqlite", pytest.param("mariadb-modern-strict", marks=pytest.mark.server)])
def url(request: pytest.FixtureRequest, tmp_path: Path, open_helpdesk: Opener) -> str:
    """Name an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    helpdesk: Helpdesk = open_helpdesk(request.param)
    return helpdesk.url


@pytest.fixture
def open_ledger(url: str) -> Iterator[Open]:
    with ExitStack() as stack:

        def open_(client: str = "elite") -> Ledger:
            ledger = Ledger(url, client)
            stack.callback(ledger.close)
            return ledger

        yield open_


def version(number: int, *, fingerprint: str = "f", updated: str | None = None) -> SeenVersion:
    return SeenVersion(
        f"u-{number:05}", updated or f"2026-06-10 08:00:{number % 60:02}", fingerprint
    )


def test_what_was_written_is_known_to_the_next_run(open_ledger: Open) -> None:
    open_ledger("elite").remember("flow", [version(1), version(2, fingerprint="g")])
    known = open_ledger("elite").known("flow", ["u-00001", "u-00002", "u-00003"])
    assert known == {"u-00001": "f", "u-00002": "g"}


def test_a_newer_version_takes_the_place_of_the_older(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    ledger.remember("flow", [version(1), version(1, fingerprint="g")])
    assert ledger.known("flow", ["u-00001"]) == {"u-00001": "g"}
    ledger.remember("flow", [version(1, fingerprint="h")])
    assert ledger.known("flow", ["u-00001"]) == {"u-00001": "h"}


def test_thousands_are_remembered_and_asked_for(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    ledger.remember("flow", [version(number) for number in range(3000)])
    ledger.remember("flow", [version(number, fingerprint="g") for number in range(3000)])
    known = ledger.known("flow", [f"u-{number:05}" for number in range(4000)])
    assert len(known) == 3000
    assert set(known.values()) == {"g"}


def test_what_is_older_than_a_time_is_forgotten(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    ledger.remember("flow", [version(number) for number in range(10)])
    ledger.remember("other", [version(1)])
    ledger.forget_before("flow", "2026-06-10 08:00:05")
    assert sorted(ledger.known("flow", [f"u-{number:05}" for number in range(10)])) == [
        f"u-{number:05}" for number in range(5, 10)
    ]
    assert ledger.known("other", ["u-00001"]) == {"u-00001": "f"}


def test_nothing_is_nothing(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    ledger.remember("flow", [])
    ledger.set_waiting("flow", [], [])
    assert ledger.known("flow", []) == {}
    assert list(ledger.waiting("flow")) == []
    assert ledger.category_paths() == {}


def test_what_waits_waits_until_it_is_replaced(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    first = [Waiting("a", "contact", "c-1"), Waiting("a", "unit", "u-1"), Waiting("b", "team", "t")]
    ledger.set_waiting("flow", ["a", "b"], [*first, first[0]])
    assert list(open_ledger("elite").waiting("flow")) == [first]
    ledger.set_waiting("flow", ["a"], [Waiting("a", "unit", "u-2")])
    assert list(ledger.waiting("flow")) == [[Waiting("a", "unit", "u-2"), first[2]]]
    ledger.set_waiting("flow", ["a", "b"], [])
    assert list(ledger.waiting("flow")) == []


def test_thousands_wait_and_may_be_settled_while_they_are_read(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    entries = [Waiting(f"u-{number:05}", "contact", f"c-{number}") for number in range(1700)]
    ledger.set_waiting("flow", [entry.uuid for entry in entries], entries)
    seen: list[Waiting] = []
    for some in ledger.waiting("flow"):
        assert len(some) <= 500
        seen += some
        ledger.set_waiting("flow", [entry.uuid for entry in some], some[::2])
    assert seen == entries
    assert sum(len(some) for some in ledger.waiting("flow")) == 850


def test_targets_that_look_alike_are_two_and_one_too_long_for_any_column_is_none(
    open_ledger: Open,
) -> None:
    ledger = open_ledger("elite")
    alike = [Waiting("t", "author", f"{name}@example.com") for name in ("jose", "josé")]
    endless = Waiting("t", "author", "x" * 300)
    ledger.set_waiting("flow", ["t"], [*alike, endless])
    assert list(ledger.waiting("flow")) == [alike]


def test_paths_are_replaced_as_a_whole(open_ledger: Open) -> None:
    ledger = open_ledger("elite")
    ledger.set_category_paths({"1": "A", "2": "A > B 漢"})
    ledger.set_category_paths({"2": "C", "3": "x" * 5000})
    assert open_ledger("elite").category_paths() == {"2": "C", "3": "x" * 5000}


def test_clients_and_flows_know_nothing_of_each_other(open_ledger: Open) -> None:
    elite, wje = open_ledger("elite"), open_ledger("wje")
    elite.remember("flow", [version(1)])
    elite.set_waiting("flow", ["a"], [Waiting("a", "unit", "u")])
    elite.set_category_paths({"1": "A"})
    assert wje.known("flow", ["u-00001"]) == {}
    assert elite.known("other", ["u-00001"]) == {}
    assert list(wje.waiting("flow")) == []
    assert wje.category_paths() == {}
    wje.set_category_paths({})
    wje.set_waiting("flow", ["a"], [])
    wje.forget_before("flow", "9999-01-01 00:00:00")
    assert elite.category_paths() == {"1": "A"}
    assert list(elite.waiting("flow")) == [[Waiting("a", "unit", "u")]]
    assert elite.known("flow", ["u-00001"]) == {"u-00001": "f"}


def test_many_may_open_an_empty_database_at_once(open_ledger: Open) -> None:
    errors: list[Exception] = []
    ready = threading.Barrier(8)

    def use(number: int) -> None:
        ledger = open_ledger(f"client{number}")
        ready.wait()
        try:
            for turn in range(5):
                ledger.remember("flow", [version(number), version(number + 100 * turn)])
                ledger.set_waiting("flow", ["a"], [Waiting("a", "unit", str(turn))])
        except PipelineError as error:
            errors.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_address_that_is_none_is_named_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="PIPELINE_DATABASE_URL") as caught:
        Ledger("the-secret-address", "elite")
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["nosuchdatabase://host/x", "mysql+nosuchdriver://h/x"])
def test_an_address_of_a_database_that_is_not_known_is_named(address: str) -> None:
    with pytest.raises(ConfigurationError, match="PIPELINE_DATABASE_URL"):
        Ledger(address, "elite")


def test_a_folder_that_cannot_be_made_is_one_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ledger = Ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}", "elite")
    with pytest.raises(SystemicError, match="Check PIPELINE_DATABASE_URL"):
        ledger.category_paths()


def test_a_host_that_is_not_there_is_one_clear_message_without_the_password() -> None:
    ledger = Ledger("mysql+pymysql://u:the-password@127.0.0.1:1/x", "elite")
    with pytest.raises(SystemicError, match="PIPELINE_DATABASE_URL") as caught:
        ledger.category_paths()
    assert "the-password" not in str(caught.value)


def test_a_password_that_is_not_encoded_is_told_and_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="%40, %2F and %3A") as caught:
        Ledger("mysql+pymysql://u:p@b/s3cret@127.0.0.1/db", "elite")
    assert "s3cret" not in str(caught.value)


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'typo' / 'ledger.sqlite'}", "elite")
    with pytest.raises(SystemicError, match="PIPELINE_DATABASE_URL"):
        ledger.watermark("contacts")
    ledger.close()
    assert not (tmp_path / "typo").exists()
