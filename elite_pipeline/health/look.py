"""What every check says of every flow of every client: those that are on, off, or broken.

What does not belong here: what a check measures (``rules``), and how it is shown (``defs``).
"""

from collections.abc import Iterator

from elite_pipeline.clients import Registry
from elite_pipeline.health.findings import FLOWS, WATERMARK_LAG, Finding, checks_of
from elite_pipeline.health.rules import RULES
from elite_pipeline.health.watched import Look, Watched


def findings(registry: Registry, look: Look) -> Iterator[Finding]:
    """Yield what every check says about every flow of every client of the registry.

    One that is switched off passes and says so. Of a client whose entry is broken only the flows that
    ran before are known.
    """
    for name in registry.names:
        client = registry.clients.get(name)
        for flow in FLOWS:
            if client is not None:
                yield from _of_flow(Watched(client, flow, look))
            elif (name, flow) in look.states:
                yield _of_broken_entry(name, flow, registry.problems[name])


def _of_flow(watched: Watched) -> Iterator[Finding]:
    is_on = getattr(watched.client.flows, watched.flow)
    for check in checks_of(watched.flow):
        found = RULES[check](watched) if is_on else None
        why = "its limits are null in the registry" if is_on else "the flow is switched off"
        yield found or Finding(
            watched.client.name,
            watched.flow,
            check,
            passed=True,
            is_severe=False,
            text=f"{watched.client.name}: {watched.flow} is not watched: {why}.",
            is_watched=False,
        )


def _of_broken_entry(client: str, flow: str, problem: str) -> Finding:
    return Finding(
        client,
        flow,
        WATERMARK_LAG,
        passed=False,
        is_severe=True,
        text=f"{client}: {flow} does not run, because the client's entry is broken. Mend it, and reload "
        f"the code location (Deployment).\n{problem}",
    )
