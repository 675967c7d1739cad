"""The tags by which a failed run says who has told of it."""

#: On a run whose process has told of its failure, or had no reason to.
TOLD_TAG = "elite_pipeline/failure_told"
#: On a run whose failure the sensor ``run_failures`` has told: the cause.
ALERT_TAG = "elite_pipeline/alert"
