"""One HTTP session for every system: retries, timeouts, redaction, counting."""

from elite_pipeline.transport.downloads import Downloaded, Downloader
from elite_pipeline.transport.exchange import Exchange
from elite_pipeline.transport.rate_budget import RateBudget, Slot
from elite_pipeline.transport.redaction import REDACTED, Redactor
from elite_pipeline.transport.retrying import RetryPolicy, parse_http_date
from elite_pipeline.transport.session import Answer, Transport

__all__ = [
    "REDACTED",
    "Answer",
    "Downloaded",
    "Downloader",
    "Exchange",
    "RateBudget",
    "Redactor",
    "RetryPolicy",
    "Slot",
    "Transport",
    "parse_http_date",
]
