"""The query string of a list: what TOGA 2 takes there, and the SQL that answers it.

Spelled as ``spec/systems.md`` section 2 has it: ``where[field op]=value`` (AND-ed), ``orderBy``,
``page`` from 1, ``limit`` up to 200, ``depth``. Anything else is refused.
"""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from elite_pipeline.sandbox.toga2 import problems
from elite_pipeline.sandbox.toga2.clock import from_wire
from elite_pipeline.sandbox.toga2.problems import RefusedError
from elite_pipeline.sandbox.toga2.schema import Resource

MAX_LIMIT: Final = 200
MAX_DEPTH: Final = 10

_WHERE: Final = re.compile(r"where\[([^\]\s]+) ([^\]\s]+)\]")
# the brackets of where[…] may hold an unescaped "=", as in where[name =]=A
_PAIR: Final = re.compile(r"(where(?:\[|%5B).*?(?:\]|%5D)|[^=]*)=?(.*)", re.IGNORECASE)
_OPERATORS: Final = frozenset({"=", ">", ">=", "<", "<=", "in"})
_COLUMNS: Final = {"uuid": "uuid", "_created": "created", "_updated": "updated"}


@dataclass
class ListQuery:
    """A list request, checked: conditions as SQL over ``records``, and the page asked for.

    Without an ``orderBy`` the order is by uuid: steady, and of no use to a reader that forgot it.
    ``by_lookup`` says that a condition names the few records in question.
    """

    conditions: list[str] = field(default_factory=list)
    values: list[str | int] = field(default_factory=list)
    order: str = "uuid"
    by_lookup: bool = False
    page: int = 1
    limit: int = MAX_LIMIT
    depth: int = 1

    @property
    def offset(self) -> int:
        """How many records lie before the page."""
        return (self.page - 1) * self.limit


def split_query(query_string: str) -> list[tuple[str, str]]:
    """Split a query string into its pairs, in order; a pair without ``=`` has an empty value."""
    found = [_PAIR.fullmatch(part) for part in query_string.split("&") if part]
    return [(unquote_plus(pair[1]), unquote_plus(pair[2])) for pair in found if pair]


def parse_list_query(
    resource: Resource, custom_fields: re.Pattern[str], scope: int, pairs: list[tuple[str, str]]
) -> ListQuery:
    """Check the parameters of a list request.

    Raises:
        RefusedError: 400, naming the first parameter that is wrong.
    """
    query = ListQuery()
    seen = set()
    for name, value in pairs:
        if where := _WHERE.fullmatch(name):
            _add_condition(query, resource, custom_fields, scope, where[1], where[2], value)
            continue
        if name in seen:
            raise _bad_parameter(f"parameter {name!r} is given twice")
        seen.add(name)
        if name == "orderBy":
            query.order = _order(resource, custom_fields, value)
        elif name == "page":
            query.page = _number(name, value, 2**31)
        elif name == "limit":
            query.limit = _number(name, value, MAX_LIMIT)
        elif name == "depth":
            query.depth = _number(name, value, MAX_DEPTH)
        else:
            raise _unknown_parameter(name)
    return query


def parse_depth(pairs: list[tuple[str, str]]) -> int:
    """Check the parameters of a single read, which takes ``depth`` alone.

    Raises:
        RefusedError: 400, naming the parameter that is wrong.
    """
    depth = 1
    for name, value in pairs:
        if name != "depth":
            raise _unknown_parameter(name)
        depth = _number(name, value, MAX_DEPTH)
    return depth


def no_parameters(pairs: list[tuple[str, str]]) -> None:
    """Refuse any parameter: writes take none.

    Raises:
        RefusedError: 400, naming the parameter.
    """
    for name, _ in pairs:
        raise _unknown_parameter(name)


def _add_condition(
    query: ListQuery,
    resource: Resource,
    custom_fields: re.Pattern[str],
    scope: int,
    name: str,
    operator: str,
    text: str,
) -> None:
    """Add one ``where`` to a query."""
    if operator not in _OPERATORS:
        raise RefusedError(400, problems.UNKNOWN_FILTER, f"where: unknown operator {operator!r}")
    texts = text.split(",") if operator == "in" else [text]
    if operator == "in" and "" in texts:
        raise _bad_parameter(f"where[{name} in]: a value is empty")
    relation = name in resource.relations_by_name
    if relation and operator not in ("=", "in"):
        raise RefusedError(400, problems.UNKNOWN_FILTER, f"where: {name!r} takes only = and in")
    declared = resource.fields_by_name.get(name)
    marks = ",".join("?" * len(texts))
    equality = operator in ("=", "in")
    custom = custom_fields.fullmatch(name) is not None
    if equality and (relation or custom or (declared is not None and declared.indexed)):
        query.conditions.append(
            "id IN (SELECT record FROM lookups"
            f" WHERE scope = ? AND field = ? AND value IN ({marks}))"
        )
        query.values += [scope, name, *texts]
        query.by_lookup = True
        return
    expression = _expression(resource, custom_fields, name)
    query.conditions.append(
        f"{expression} IN ({marks})" if equality else f"{expression} {operator} ?"
    )
    query.values += [_value(resource, name, part) for part in texts]


def _expression(resource: Resource, custom_fields: re.Pattern[str], name: str) -> str:
    """Return the SQL for a scalar of a record.

    Only names that are declared, or that match a client's custom fields, get into the text.
    """
    if name in _COLUMNS:
        return _COLUMNS[name]
    declared = resource.fields_by_name.get(name)
    if declared is not None and declared.kind in ("text", "flag", "number"):
        return f"json_extract(own, '$.{name}')"
    if custom_fields.fullmatch(name):
        return f"CAST(json_extract(own, '$.{name}') AS TEXT)"
    raise RefusedError(
        400,
        problems.UNKNOWN_FILTER,
        f"a {resource.label} has no field {name!r} to filter or order by",
    )


def _value(resource: Resource, name: str, text: str) -> str | int:
    """Return the value of a filter in the type of its field."""
    if name in ("_created", "_updated"):
        try:
            from_wire(text)
        except ValueError:
            raise _bad_parameter(f"where: {name} needs YYYY-MM-DD HH:MM:SS, not {text!r}") from None
        return text
    declared = resource.fields_by_name.get(name)
    if declared is not None and declared.kind == "flag":
        if text not in ("true", "false"):
            raise _bad_parameter(f"where: {name} needs true or false, not {text!r}")
        return int(text == "true")
    if declared is not None and declared.kind == "number":
        return _number(f"where: {name}", text, 2**62, least=0)
    return text


def _order(resource: Resource, custom_fields: re.Pattern[str], text: str) -> str:
    """Return the SQL of an ``orderBy``; ascending is the only direction."""
    names = text.split(",")
    for name in names:
        if name in resource.relations_by_name or name.startswith("-"):
            raise _bad_parameter(f"orderBy: cannot order by {name!r}")
    return ", ".join(_expression(resource, custom_fields, name) for name in names)


def _number(name: str, text: str, most: int, *, least: int = 1) -> int:
    """Return a whole number within bounds."""
    if re.fullmatch(r"[0-9]{1,18}", text) and least <= int(text) <= most:
        return int(text)
    raise _bad_parameter(f"{name} must be a whole number from {least} to {most}, not {text!r}")


def _bad_parameter(message: str) -> RefusedError:
    return RefusedError(400, problems.BAD_PARAMETER, message)


def _unknown_parameter(name: str) -> RefusedError:
    return RefusedError(400, problems.UNKNOWN_PARAMETER, f"unknown parameter {name!r}")
