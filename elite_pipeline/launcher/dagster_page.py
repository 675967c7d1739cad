"""Asks Dagster's page for things over HTTP: what an operator's clicks would ask for.

GraphQL is the interface of the page itself; going through it keeps this package free of dagster
and takes effect exactly as a click does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from elite_pipeline.errors import SystemicError

_TIMEOUT_SECONDS = 30

#: The tag by which Dagster knows a run's partition.
PARTITION_TAG = "dagster/partition"

_LOCATION = """
query Location {
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError {
          __typename
          ... on PythonError { message }
          ... on RepositoryLocation { repositories { name pipelines { name } } }
        }
      }
    }
  }
}
"""

_LOST_RUNS = """
query LostRuns($before: Float!) {
  runsOrError(filter: {statuses: [STARTING, STARTED, CANCELING], updatedBefore: $before}) {
    ... on Runs { results { runId } }
  }
}
"""

_CANCEL = """
mutation Cancel($runIds: [String!]!) {
  terminateRuns(runIds: $runIds, terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY) { __typename }
}
"""

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
  }
}
"""


class DagsterPageError(SystemicError):
    """The page refused, or answered something that is not understood."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


_AnswerT = TypeVar("_AnswerT", bound=_Answer)


class _Job(_Answer):
    name: str


class _Repository(_Answer):
    name: str
    pipelines: list[_Job]


class _Loaded(_Answer):
    typename: str = Field(alias="__typename")
    message: str = ""
    repositories: list[_Repository] = []


class _Entry(_Answer):
    name: str
    load_status: str = Field(alias="loadStatus")
    loaded: _Loaded | None = Field(alias="locationOrLoadError")


class _Workspace(_Answer):
    entries: list[_Entry] = Field(default=[], alias="locationEntries")


class _LocationAnswer(_Answer):
    workspace: _Workspace = Field(alias="workspaceOrError")


class _Run(_Answer):
    run_id: str = Field(alias="runId")


class _Runs(_Answer):
    results: list[_Run] = []


class _LostRunsAnswer(_Answer):
    runs: _Runs = Field(alias="runsOrError")


class _Launched(_Answer):
    typename: str = Field(alias="__typename")
    message: str = ""
    run: _Run | None = None


class _LaunchAnswer(_Answer):
    launched: _Launched = Field(alias="launchRun")


@dataclass(frozen=True, slots=True)
class Location:
    """The loaded code location.

    Attributes:
        name: Its name in the workspace.
        repository: The name of its one repository.
        jobs: The names of its jobs.
    """

    name: str
    repository: str
    jobs: frozenset[str]


class DagsterPage:
    """A running page at ``url``, without a trailing slash."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        # A proxy from the environment has no business between two processes of one machine.
        self._session.trust_env = False

    @property
    def health_url(self) -> str:
        """Answers as soon as the page is up."""
        return f"{self.url}/server_info"

    def lineage_url(self, groups: Iterable[str]) -> str:
        """Return the address of the lineage with some groups of assets opened."""
        # the page's own name for a group of no particular code location
        opened = ",".join(f"global@global:{group}" for group in groups)
        return f"{self.url}/asset-groups?expanded={quote(opened, safe='')}"

    def location(self) -> Location | None:
        """Return the code location, or None while it is loading.

        Raises:
            DagsterPageError: The definitions could not be loaded; says why.
        """
        for entry in _parse(_LocationAnswer, self._ask(_LOCATION)).workspace.entries:
            if entry.load_status != "LOADED" or entry.loaded is None:
                return None
            if entry.loaded.typename != "RepositoryLocation":
                raise DagsterPageError(
                    f"Dagster could not load {entry.name}: {entry.loaded.message.strip()}"
                )
            for repository in entry.loaded.repositories:
                jobs = frozenset(job.name for job in repository.pipelines)
                return Location(entry.name, repository.name, jobs)
        return None

    def cancel_lost_runs(self, *, before: float) -> int:
        """Mark runs as canceled whose process cannot live any more; return how many there were.

        A run that was killed together with its Dagster counts as running for ever otherwise, and
        holds up its client's next one.

        Args:
            before: Runs that have not changed since this moment (seconds since the epoch, UTC),
                at which the caller knows that no run was alive.
        """
        found = _parse(_LostRunsAnswer, self._ask(_LOST_RUNS, before=before)).runs.results
        if found:
            self._ask(_CANCEL, runIds=[run.run_id for run in found])
        return len(found)

    def launch(self, location: Location, job: str, *, partition: str) -> str:
        """Put a run of one partition of a job into the queue; return its id.

        Raises:
            DagsterPageError: Dagster refused it; says why.
        """
        answer = self._ask(
            _LAUNCH,
            params={
                "selector": {
                    "repositoryLocationName": location.name,
                    "repositoryName": location.repository,
                    "jobName": job,
                },
                "mode": "default",
                "runConfigData": {},
                "executionMetadata": {"tags": [{"key": PARTITION_TAG, "value": partition}]},
            },
        )
        launched = _parse(_LaunchAnswer, answer).launched
        if launched.run is None:
            raise DagsterPageError(
                f"Dagster did not start {job} for {partition}: "
                f"{launched.message or launched.typename}"
            )
        return launched.run.run_id

    def _ask(self, query: str, **variables: object) -> object:
        try:
            answer = self._session.post(
                f"{self.url}/graphql",
                json={"query": query, "variables": variables},
                timeout=_TIMEOUT_SECONDS,
            )
            body = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise DagsterPageError(f"Dagster's page at {self.url} does not answer.") from error
        if not isinstance(body, dict) or body.get("errors") or "data" not in body:
            raise DagsterPageError(f"Dagster's page at {self.url} refused a question: {body!r}")
        return body["data"]


def _parse(model: type[_AnswerT], data: object) -> _AnswerT:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise DagsterPageError("Dagster's page answers in a way that is not understood.") from error
