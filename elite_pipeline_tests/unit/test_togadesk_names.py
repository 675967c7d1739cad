from collections.abc import Mapping, Sequence

from elite_pipeline.togadesk.names import find_or_create
from elite_pipeline.togadesk.rows import Row


class Server:
    """Compares names by what ``same`` says; keeps rows in a list."""

    def __init__(self, *names: str, folded: dict[str, str] | None = None) -> None:
        self.rows = [Row(id=number, name=name) for number, name in enumerate(names, start=1)]
        self.folded = folded or {}

    def same(self, name: str) -> str:
        return self.folded.get(name, name.rstrip(" ").lower())

    def select(
        self,
        table: str,
        columns: Sequence[str],
        *,
        where: Mapping[str, object] | None = None,
        in_: tuple[str, Sequence[object]] | None = None,
    ) -> list[Row]:
        assert in_ is not None
        wanted = {self.same(str(value)) for value in in_[1]}
        return [row for row in self.rows if self.same(row.name) in wanted]

    def insert(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        for row in rows:
            self.rows.append(Row(id=len(self.rows) + 1, name=row["name"]))


def test_what_is_there_is_found_without_regard_to_case() -> None:
    server = Server("Dell", "HP")
    assert find_or_create(server, "models", ["dell ", "HP"]) == {"dell ": 1, "HP": 2}
    assert len(server.rows) == 2


def test_what_is_missing_is_made_once_in_its_first_spelling() -> None:
    server = Server()
    assert find_or_create(server, "models", ["Acer", "b", "ACER"]) == {
        "Acer": 1,
        "b": 2,
        "ACER": 1,
    }
    assert [row.name for row in server.rows] == ["Acer", "b"]


def test_the_closest_spelling_wins_then_the_lowest_id() -> None:
    server = Server("DELL", "dell", "Dell", "dell")
    assert find_or_create(server, "models", ["dell", "dELL"]) == {"dell": 2, "dELL": 1}


def test_accents_count_less_than_finding_it() -> None:
    server = Server("Cafe", folded={"Café": "cafe"})
    assert find_or_create(server, "models", ["Café"]) == {"Café": 1}


def test_a_server_with_other_ideas_of_equality_gets_a_second_entry() -> None:
    server = Server("Strasse", folded={"Straße?": "strasse"})
    assert find_or_create(server, "models", ["Straße?"]) == {"Straße?": 2}


def test_nothing_asked_for() -> None:
    assert find_or_create(Server(), "models", []) == {}
