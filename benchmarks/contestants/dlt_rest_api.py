"""dlt: its ``rest_api`` source into the same MariaDB through its SQLAlchemy destination, merged by uuid.

Runs in an environment of its own (requirements.in), which has neither the project nor its
dependencies. Its settings are in docs/benchmarks.md, with why.
"""

import os
import time
from pathlib import Path

# before dlt reads its configuration, the rest of which it is started with (surroundings)
os.environ.update({"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"})

import dlt
from dlt.destinations import sqlalchemy
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator
from dlt.sources.rest_api import rest_api_source
from report import arguments, report

#: Length of the key, without which MariaDB takes no index on it.
_KEY = {"uuid": 36}
_OTHER_TEXTS = {"firstName": 128, "lastName": 128, "email": 128, "phone": 100, "title": 128}


def main() -> None:
    """Run the pipeline over all contacts; the second run in one folder is the second pass."""
    given = arguments()
    is_tuned = bool(given["tuned"])
    texts = {**_KEY, **(_OTHER_TEXTS if is_tuned else {})}
    started = time.perf_counter()
    source = rest_api_source(
        {
            "client": {
                "base_url": f"{given['toga2_url']}/",
                "headers": {"X-Client-Uuid": given["client_uuid"]},
                "auth": {
                    "type": "http_basic",
                    "username": given["api_key"],
                    "password": given["api_secret"],
                },
                "paginator": PageNumberPaginator(base_page=1, total_path=None),
            },
            "resources": [
                {
                    "name": "contacts",
                    "primary_key": "uuid",
                    # Nothing in a page comes twice, so a tuned merge need not look for that.
                    "write_disposition": {
                        "disposition": "merge",
                        "strategy": "delete-insert",
                        "deduplicated": True,
                    }
                    if is_tuned
                    else "merge",
                    "columns": {
                        name: {"data_type": "text", "precision": length}
                        for name, length in texts.items()
                    },
                    "endpoint": {
                        "path": "contacts",
                        "params": {
                            "where[_updated >]": "2000-01-01 00:00:00",
                            "orderBy": "_updated,uuid",
                            "limit": 200,
                        },
                        "data_selector": "data.contacts",
                    },
                }
            ],
        },
        max_table_nesting=0,
    )
    pipeline = dlt.pipeline(
        "contacts",
        pipelines_dir=str(Path(given["folder"]) / "pipelines"),
        destination=sqlalchemy(given["server_url"], create_primary_keys=True),
        dataset_name=given["dataset"],
    )
    pipeline.run(source).raise_on_failed_jobs()
    seconds = time.perf_counter() - started
    steps = pipeline.last_trace.steps
    report(
        seconds,
        rows=pipeline.last_trace.last_normalize_info.row_counts.get("contacts", 0),
        steps={
            step.step: (step.finished_at - step.started_at).total_seconds()
            for step in steps
            if step.finished_at
        },
        version=dlt.__version__,
    )


if __name__ == "__main__":
    main()
