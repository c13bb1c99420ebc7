"""`penstock billing`: what an operator does about payments. Works beside a running server or without one."""

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from penstock.accounts import people
from penstock.app.databases import open_database
from penstock.app.folder import DataFolder
from penstock.billing import prices
from penstock.billing.donations import Conversion, conversion
from penstock.billing.payments import PaymentRefusedError, PaymentUnavailableError
from penstock.billing.providers import open_payments
from penstock.billing.reconcile import DAYS, Report
from penstock.billing.reconcile import reconcile as compare
from penstock.billing.schedule import DAY_S
from penstock.billing.webhooks import Intake
from penstock.cli.database import folder_of_database
from penstock.cli.output import results, say_problem
from penstock.cli.serve_commands import DataDir, ProductFile, settings_for, settings_in
from penstock.kit.clock import SystemClock
from penstock.kit.errors import Problem
from penstock.product.loading import load_product
from penstock.product.schema import Product
from penstock.product.settings import Settings

FAILED = 1
MAX_DAYS = 365


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    billing = typer.Typer(no_args_is_help=True, help="Payments.")
    billing.callback()(_about)
    billing.command("reconcile")(reconcile)
    billing.command("donations")(donations)
    app.add_typer(billing, name="billing")


def reconcile(
    file: ProductFile,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How far to look back.")] = DAYS,
    data: DataDir = None,
) -> None:
    """Compare payments with what was granted, mend what can be: exit code 1 if something needs a person."""
    settings, environment = settings_for(data=data)
    loaded = load_product(file, environment)
    settings, product = settings_in(settings, loaded), loaded.product
    folder = folder_of_database(settings)
    try:
        report = asyncio.run(_reconcile(settings, folder, product, environment, days))
    except (PaymentRefusedError, PaymentUnavailableError) as error:
        raise Problem("unavailable", f"The payment provider can't be compared with: {error}.") from error
    _tell(report)


def donations(
    file: ProductFile,
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS, help="How far to look back.")] = 30,
    data: DataDir = None,
) -> None:
    """Say how many people went to the page for donations, how many gave, and how much."""
    settings, environment = settings_for(data=data)
    settings = settings_in(settings, load_product(file, environment))
    found = asyncio.run(_conversion(settings, folder_of_database(settings), days))
    share = f" ({found.gave / found.looked:.0%})" if found.looked else ""
    told = f"In {days} days {found.looked} people looked and {found.gave} gave{share}: "
    results().print(Text(f"{told}{found.donations} donations, ${prices.dollars(found.cents)}."))


async def _conversion(settings: Settings, folder: DataFolder, days: int) -> Conversion:
    database = await open_database(settings, folder)
    try:
        return await database.read(conversion, SystemClock().now() - days * DAY_S)
    finally:
        await database.close()


def _about() -> None:
    """Payments."""


async def _reconcile(
    settings: Settings, folder: DataFolder, product: Product, environment: dict[str, str], days: int
) -> Report:
    clock = SystemClock()
    payments = open_payments(lambda: product, environment, clock, test=False)
    if payments is None:
        raise Problem("unavailable", "No payment provider is set up: see [payments] in the product file.")
    database = await open_database(settings, folder)
    try:
        intake = Intake(database, clock, lambda: product, people.set_plan)
        return await compare(database, intake, payments, clock.now() - days * DAY_S)
    finally:
        await payments.close()
        await database.close()


def _tell(report: Report) -> None:
    console = results()
    console.print(Text(f"Looked at {report.looked_at} things. Mended: {len(report.mended)}."))
    for told in report.mended:
        console.print(Text(f"  {told}", style="yellow"))
    if report.flagged:
        say_problem("\n".join(report.flagged))
        raise typer.Exit(FAILED)
    console.print(Text("What was paid is what was granted.", style="green"))
