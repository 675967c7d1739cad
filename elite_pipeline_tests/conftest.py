"""Plugs the fixtures in that live beside what they make, in ``support``."""

import pytest

pytest_plugins = [
    "elite_pipeline_tests.support.mariadb",
    "elite_pipeline_tests.support.postgres",
    "elite_pipeline_tests.support.helpdesks",
    "elite_pipeline_tests.support.systems",
    "elite_pipeline_tests.support.tickets",
    "elite_pipeline_tests.support.typing",
    "elite_pipeline_tests.support.service_desk",
    "elite_pipeline_tests.support.failing",
    "elite_pipeline_tests.support.sentry_collector",
    "elite_pipeline_tests.support.call_logs",
    "elite_pipeline_tests.support.clinics",
]


# first: the plugin that hands tests out looks at their groups in the same hook
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what starts a whole Dagster on one worker: two of them would wait for each other's cores."""
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.xdist_group("e2e"))
