"""What the daemon keeps of a sensor, for tests of single ticks."""

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.sensor_definition import SensorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)


def sensor_state(sensor: str, cursor: str) -> InstigatorState:
    """Return what the daemon keeps of a sensor whose cursor is this."""
    origin = RemoteRepositoryOrigin(
        RegisteredCodeLocationOrigin("elite_pipeline"), "__repository__"
    ).get_instigator_origin(sensor)
    data = SensorInstigatorData(cursor=cursor, sensor_type=SensorType.STANDARD)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)
