"""One partition per client of the registry, the broken ones included: they fail by name."""

import dagster as dg

from elite_pipeline.clients import Registry


def client_partitions(registry: Registry) -> dg.StaticPartitionsDefinition:
    """Return the partitions that every asset has."""
    return dg.StaticPartitionsDefinition(list(registry.names))
