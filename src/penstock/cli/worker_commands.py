"""`penstock workers`: who works on this product's jobs, on all machines."""

import asyncio
from collections.abc import Iterator

import typer
from rich.text import Text

from penstock.app.databases import open_database
from penstock.cli.database import folder_of_database
from penstock.cli.output import results
from penstock.cli.serve_commands import DataDir, settings_for
from penstock.jobs import roster
from penstock.jobs.roster import Entry
from penstock.kit.clock import SystemClock, rfc3339
from penstock.kit.durations import in_words
from penstock.product.settings import Settings

HEADINGS = ("name", "host", "pid", "state", "running", "started", "seen")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(workers)


def workers(data: DataDir = None) -> None:
    """List the workers of every process and machine: where they are, what they do, when they were seen last."""
    settings, _ = settings_for(data=data)
    found = asyncio.run(_look(settings))
    if not found:
        results().print(Text("No worker runs. Start one: penstock worker FILE"))
        return
    for line in _table(found, SystemClock().now()):
        results().print(Text(line))


async def _look(settings: Settings) -> list[Entry]:
    folder = await asyncio.to_thread(folder_of_database, settings)
    database = await open_database(settings, folder)
    try:
        return await database.read(roster.everybody)
    finally:
        await database.close()


def _table(found: list[Entry], now: float) -> Iterator[str]:
    """Yield lines whose columns stand beneath each other; never shortened, as scripts read them too."""
    rows = [HEADINGS, *(_cells(each, now) for each in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _cells(each: Entry, now: float) -> tuple[str, ...]:
    seen = f"{in_words(max(1.0, now - each.seen_at))} ago"
    running = f"{each.running} of {each.slots}"
    return each.name, each.host, str(each.pid), each.state, running, rfc3339(each.started_at), seen
