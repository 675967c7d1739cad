"""A stand-in for TOGaDesk: its database in production's shape, and rows as people make them.

What belongs here: making the database and filling it. What does not: reading and writing it as the
sync does (``elite_pipeline.togadesk``).
"""

from elite_pipeline.sandbox.togadesk.database import Shape, create_database
from elite_pipeline.sandbox.togadesk.seed import HelpdeskClient, seed_helpdesk
from elite_pipeline.sandbox.togadesk.typing_people import Activity, Typed, TypingPeople

__all__ = [
    "Activity",
    "HelpdeskClient",
    "Shape",
    "Typed",
    "TypingPeople",
    "create_database",
    "seed_helpdesk",
]
