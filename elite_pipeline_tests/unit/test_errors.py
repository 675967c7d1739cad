"""The one table of failures."""

import pytest

from elite_pipeline.errors import (
    ConfigurationError,
    Kind,
    PermanentError,
    PipelineError,
    SystemicError,
    TransientError,
    UnreachableError,
    database_error_kind,
    http_error,
    http_status_kind,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, "systemic"),
        (304, "systemic"),
        (400, "permanent"),
        (401, "systemic"),
        (403, "systemic"),
        (404, "permanent"),
        (408, "transient"),
        (409, "permanent"),
        (422, "permanent"),
        (429, "transient"),
        (500, "transient"),
        (501, "permanent"),
        (502, "transient"),
        (503, "transient"),
        (504, "transient"),
        (599, "transient"),
    ],
)
def test_a_status_is_of_one_kind_and_its_error_too(status: int, kind: Kind) -> None:
    classes = {
        "transient": TransientError,
        "permanent": PermanentError,
        "systemic": SystemicError,
    }
    assert http_status_kind(status) == kind
    error = http_error("no", status=status, code="EV-6")
    assert isinstance(error, classes[kind])
    assert [isinstance(error, other) for other in classes.values()].count(True) == 1
    assert (error.kind, error.status, error.code, str(error)) == (kind, status, "EV-6", "no")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (1213, "transient"),
        (1205, "transient"),
        (2006, "transient"),
        (2013, "transient"),
        (1045, "systemic"),
        (1146, "systemic"),
        (2003, "systemic"),
        (1366, "permanent"),
        (1406, "permanent"),
        (1062, "permanent"),
        (99999, "permanent"),
        (None, "permanent"),
    ],
)
def test_a_database_error_is_of_one_kind(number: int | None, kind: Kind) -> None:
    assert database_error_kind(number) == kind


def test_what_stops_a_run_is_systemic() -> None:
    assert issubclass(ConfigurationError, SystemicError)
    assert issubclass(UnreachableError, SystemicError)
    assert issubclass(SystemicError, PipelineError)
