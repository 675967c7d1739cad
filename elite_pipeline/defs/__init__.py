"""Everything that imports dagster: how an operator sees the sync."""
