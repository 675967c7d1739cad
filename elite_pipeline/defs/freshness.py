"""Freshness policies: how long an asset may go without a materialization before its page says so.

Dagster looks at the last materialization of an asset, whichever client it was of: what it can tell is
that nothing moves at all. That one client stands still is told by the check ``watermark_lag``, which has
the assets' partitions.
"""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from elite_pipeline.clients import Registry
from elite_pipeline.defs.flow_assets import ASSETS
from elite_pipeline.health.findings import TICKET_FLOWS

#: A policy cannot look closer than this.
_SHORTEST = timedelta(minutes=1)


def with_freshness(
    assets: Sequence[dg.AssetsDefinition], registry: Registry
) -> list[dg.AssetsDefinition]:
    """Return the assets with policies: they fail after the longest lag that any client allows.

    An asset has none where no client has its flow on, or some client does not want to be told of its lag:
    it may stand still for as long as it likes.
    """
    policies = {asset: _policy(flow, registry) for flow, asset in ASSETS.items()}
    return [
        one.map_asset_specs(
            lambda spec: spec.replace_attributes(freshness_policy=policies.get(spec.key))
        )
        for one in assets
    ]


def _policy(flow: str, registry: Registry) -> dg.FreshnessPolicy | None:
    limits = [
        client.checks.watermark_lag_minutes
        if flow in TICKET_FLOWS
        else client.checks.reference_lag_minutes
        for client in registry.clients.values()
        if getattr(client.flows, flow)
    ]
    given = [limit for limit in limits if limit is not None]
    if not given or len(given) < len(limits):
        return None
    longest = timedelta(minutes=max(given))
    warns = longest / 2
    return dg.FreshnessPolicy.time_window(
        fail_window=longest, warn_window=warns if warns >= _SHORTEST else None
    )
