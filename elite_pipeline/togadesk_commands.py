"""``elite-pipeline togadesk …``: what an operator may do to the helpdesk's database.

What does not belong here: the stand-in for it (``sandbox.togadesk``), and how it is done
(``togadesk``).
"""

import click

from elite_pipeline.help_texts import taught, taught_group
from elite_pipeline.settings import load_settings
from elite_pipeline.togadesk import connect, indexes
from elite_pipeline.togadesk.failures import describe


@click.group(epilog=taught_group(("See what would make the sync cheaper", "togadesk add-indexes")))
def togadesk() -> None:
    """The helpdesk's database (TOGADESK_DATABASE_URL)."""


@togadesk.command(
    "add-indexes",
    epilog=taught(
        ("See the statements, and change nothing", "togadesk add-indexes"),
        ("Send them, in a quiet hour", "togadesk add-indexes --yes"),
    ),
)
@click.option("--yes", is_flag=True, help="Send the statements; without it they are only shown.")
def add_indexes(yes: bool) -> None:
    """Show the indexes that make the sync cheap, and add them with --yes.

    The sync works without them. What is there already is left alone, under whatever name, so that
    this can be repeated. While a table gets its indexes, nobody can write to it: choose a quiet hour.
    """
    engine = connect(load_settings().togadesk_url, read_timeout=None)
    try:
        added = indexes.additions(engine)
        place = describe(engine.url)
        if not added:
            click.echo(f"Nothing to do: {place} has all {len(indexes.WANTED)} indexes.")
            return
        for each in added:
            click.echo(f"{each.sql};")
        if not yes:
            click.echo(f"Nothing was changed in {place}. --yes sends these statements.")
            return
        for each in indexes.apply(engine, added):
            for index in each.indexes:
                click.echo(f"added: {index.table} ({', '.join(index.columns)})")
    finally:
        engine.dispose()
