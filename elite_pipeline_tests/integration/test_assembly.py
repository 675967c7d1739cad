"""What a run works with is put together from the settings (``assembly``)."""

import os

from elite_pipeline.assembly import open_client
from elite_pipeline.settings import load_settings
from elite_pipeline_tests.support.clinics import Clinic


def test_a_run_says_how_people_find_it(clinic: Clinic) -> None:
    clinic.write_registry()
    settings = load_settings()
    client = settings.registry.get("elite")
    with open_client(settings, client) as context:
        assert context.who.startswith("a command line on ")
        assert context.who.endswith(f", process {os.getpid()}")
    with open_client(settings, client, run_id="0123456789abcdef") as context:
        assert context.who.startswith("run 01234567 of Dagster, on ")


def test_whoever_brings_a_clock_of_his_own_is_asked_for_every_wait(clinic: Clinic) -> None:
    clinic.write_registry()
    settings = load_settings()
    naps: list[float] = []
    with open_client(settings, settings.registry.get("elite"), sleep=naps.append) as context:
        context.sleep(10)
    assert naps == [10]
