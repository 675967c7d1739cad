"""Plugs the fixtures in that live beside what they make, in ``support``."""

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
