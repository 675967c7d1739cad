"""TOGaDesk as it is: its tables, its database server, its limits (``spec/systems.md`` section 3).

What belongs here: everything that is true of the helpdesk's database. What does not: what a sync
means (``sync``), and the creation of the tables, which the helpdesk owns (``sandbox`` makes a
stand-in).
"""

from elite_pipeline.togadesk import file_names
from elite_pipeline.togadesk.changed_tickets import ChangedTicket
from elite_pipeline.togadesk.engine import create as connect
from elite_pipeline.togadesk.failures import (
    DuplicateKeyError,
    SchemaError,
    TextTooLongError,
    TransientDatabaseError,
    ValueDoesNotFitError,
)
from elite_pipeline.togadesk.fitting import FittedTogether, Fitter
from elite_pipeline.togadesk.rows import ReferencedRows, Row
from elite_pipeline.togadesk.store import Counters, TogadeskStore
from elite_pipeline.togadesk.text import TextLimits
from elite_pipeline.togadesk.transaction import Tx
from elite_pipeline.togadesk.uploads import Uploads

__all__ = [
    "ChangedTicket",
    "Counters",
    "DuplicateKeyError",
    "FittedTogether",
    "Fitter",
    "ReferencedRows",
    "Row",
    "SchemaError",
    "TextLimits",
    "TextTooLongError",
    "TogadeskStore",
    "TransientDatabaseError",
    "Tx",
    "Uploads",
    "ValueDoesNotFitError",
    "connect",
    "file_names",
]
