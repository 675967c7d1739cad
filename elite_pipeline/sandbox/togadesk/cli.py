"""``elite-pipeline sandbox togadesk …``: make a helpdesk's database, fill it, and work in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import click
import sqlalchemy as sa
from click.core import ParameterSource

from elite_pipeline.errors import PipelineError
from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.sandbox.togadesk.database import Shape, create_database
from elite_pipeline.sandbox.togadesk.seed import HelpdeskClient, seed_helpdesk
from elite_pipeline.sandbox.togadesk.typing_people import Activity, TypingPeople
from elite_pipeline.togadesk import connect
from elite_pipeline.togadesk.failures import SETTING, describe, translate

_URL = click.option(
    "--url",
    required=True,
    envvar="TOGADESK_DATABASE_URL",
    help="Where: sqlite:///path, mysql+pymysql://… or mariadb+pymysql://… (TOGADESK_DATABASE_URL).",
)

_COUNT = click.IntRange(min=0)


def _client(text: str) -> HelpdeskClient:
    """Parse a client such as ``1:Elite:1,2``: id, name, departments."""
    try:
        number, name, departments = text.split(":")
        ids = tuple(int(part) for part in departments.split(",") if part)
        return HelpdeskClient(int(number), name, ids)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not like 1:Elite:1,2 (id, name, department ids)."
        ) from None


def _departments(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    """Parse ids such as ``1,2``."""
    del context, parameter
    try:
        ids = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not like 1,2 (ids of departments).") from None
    return ids


def _zone(context: click.Context, parameter: click.Parameter, text: str) -> ZoneInfo:
    """Parse the name of a time zone."""
    del context, parameter
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise click.BadParameter(f"{text!r} is no time zone, such as America/Chicago.") from None


@contextmanager
def open_database(url: str) -> Iterator[sa.Engine]:
    """Open a database; what goes wrong is one message."""
    try:
        engine = connect(url)
        try:
            yield engine
        except sa.exc.DBAPIError as error:
            raise translate(error, url=engine.url, table=None) from None
        finally:
            engine.dispose()
    except PipelineError as error:
        raise click.ClickException(_as_given(str(error))) from None


def _as_given(message: str) -> str:
    """Name the address as the person gave it: by the option, unless it came from the environment."""
    source = click.get_current_context().get_parameter_source("url")
    return message if source is ParameterSource.ENVIRONMENT else message.replace(SETTING, "--url")


@click.group(
    epilog=taught_group(
        ("Make one in a file", "sandbox togadesk create --url sqlite:///desk.sqlite"),
        ("Fill it", "sandbox togadesk seed --url sqlite:///desk.sqlite"),
    )
)
def togadesk() -> None:
    """A stand-in for TOGaDesk's database and uploads folder."""


@togadesk.command(
    epilog=taught(
        (
            "Make it in a file, with a folder for files",
            "sandbox togadesk create --url sqlite:///desk.sqlite --uploads uploads",
        ),
        (
            "Make it look like an old installation, on a server",
            "sandbox togadesk create --url mysql+pymysql://user:password@host/desk --shape legacy",
        ),
    )
)
@_URL
@click.option(
    "--shape",
    type=click.Choice(get_args(Shape)),
    default="legacy",
    show_default=True,
    help="legacy: MyISAM and three-byte UTF-8, as production; modern: InnoDB and utf8mb4.",
)
@click.option("--indexes", is_flag=True, help="Also index what production does not.")
@click.option(
    "--uploads",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TOGADESK_UPLOADS_DIR",
    help="Also make the uploads folder (TOGADESK_UPLOADS_DIR).",
)
def create(url: str, shape: Shape, indexes: bool, uploads: Path | None) -> None:
    """Create the tables that are not there yet."""
    with open_database(url) as engine:
        create_database(engine, shape, indexes=indexes)
        click.echo(f"The helpdesk's tables are in {describe(engine.url)}.")
    if uploads is not None:
        uploads.mkdir(parents=True, exist_ok=True)


@togadesk.command(
    epilog=taught(
        ("Add two tenants' rows", "sandbox togadesk seed --url sqlite:///desk.sqlite"),
        (
            "Add one tenant's",
            "sandbox togadesk seed --url sqlite:///desk.sqlite --client 7:Acme:4,5",
        ),
    )
)
@_URL
@click.option(
    "--client",
    "clients",
    type=_client,
    multiple=True,
    default=("1:Elite:1,2", "2:WJE:3"),
    show_default=True,
    help="A tenant; may be given several times.",
)
@click.option("--seed", default=1, show_default=True, help="Same seed, same rows.")
def seed(url: str, clients: tuple[HelpdeskClient, ...], seed: int) -> None:
    """Add rows as people make them by hand; what is there stays."""
    with open_database(url) as engine:
        added = seed_helpdesk(engine, clients, seed=seed)
    click.echo(f"{added} rows added.")


@togadesk.command(
    "type",
    epilog=taught(
        (
            "Answer five times",
            "sandbox togadesk type --url sqlite:///desk.sqlite --client-id 1 --departments 1 --replies 5",
        ),
    ),
)
@_URL
@click.option("--client-id", type=int, required=True, help="The helpdesk's id of the client.")
@click.option(
    "--departments",
    required=True,
    callback=_departments,
    help="Ids of the departments that they work in, e.g. 1,2.",
)
@click.option("--tickets", type=_COUNT, default=0, help="New tickets.")
@click.option("--replies", type=_COUNT, default=0, help="Replies, by staff and by users in turns.")
@click.option("--comments", type=_COUNT, default=0, help="Comments, by staff.")
@click.option("--files", type=_COUNT, default=0, help="Files, uploaded with the replies.")
@click.option("--seed", default=1, show_default=True, help="Same seed and rows, same work.")
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    callback=_zone,
    help="The helpdesk's config.timezone.",
)
@click.option(
    "--uploads",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="TOGADESK_UPLOADS_DIR",
    help="The uploads folder, for files (TOGADESK_UPLOADS_DIR).",
)
def type_(
    url: str,
    client_id: int,
    departments: tuple[int, ...],
    tickets: int,
    replies: int,
    comments: int,
    files: int,
    seed: int,
    timezone: ZoneInfo,
    uploads: Path | None,
) -> None:
    """Let people work at the helpdesk: rows as its own application writes them."""
    if files and uploads is None:
        raise click.UsageError("--files needs --uploads, the folder that they are put into.")
    with open_database(url) as engine:
        people = TypingPeople(
            engine,
            client_id=client_id,
            departments=departments,
            timezone=timezone,
            uploads=uploads,
            seed=seed,
        )
        typed = people.type(Activity(tickets, replies, comments, files))
    click.echo(
        f"Typed: {len(typed.tickets)} tickets, {len(typed.replies) - len(typed.tickets)} replies, "
        f"{len(typed.comments)} comments, {len(typed.files)} files."
    )
