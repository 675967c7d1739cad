"""Verifying both sides of a test's systems: what came of it, short to hold against what was planted."""

from typing import Any

from elite_pipeline.sync.verify.findings import Finding, Verification
from elite_pipeline.sync.verify.run import Choices, verify
from elite_pipeline_tests.support.systems import Systems


def verified(
    systems: Systems, client: str = "elite", **choices: Any
) -> tuple[Verification, list[Finding]]:
    """Compare both sides once, as a run of its own; return the counts and all findings."""
    with systems.open(client) as context, verify(context, Choices(**choices)) as report:
        return report.verification, list(report.findings())


def found(systems: Systems, client: str = "elite", **choices: Any) -> list[tuple[str, str, str]]:
    """Return flow, kind and reason of all findings."""
    _, findings = verified(systems, client, **choices)
    return [(one.flow, one.kind, str(one.reason)) for one in findings]


def said(findings: list[Finding]) -> str:
    """Return findings in lines, for a message."""
    return "\n".join(
        f"{one.reason} {one.flow} {one.kind} {one.name} {one.of}: {one.detail}" for one in findings
    )
