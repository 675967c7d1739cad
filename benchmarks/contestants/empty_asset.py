"""What a run of Dagster's costs that does nothing: one partitioned asset with an empty body."""

import dagster as dg


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["elite"]))
def nothing() -> None:
    """Do nothing."""


definitions = dg.Definitions(assets=[nothing], executor=dg.in_process_executor)
