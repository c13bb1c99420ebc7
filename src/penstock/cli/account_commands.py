"""`penstock admin` and `penstock credits`: what an operator does to accounts without the web app.

They work on the database directly, beside a running server or without one.
"""

import asyncio
import getpass
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Concatenate, ParamSpec, TypeVar

import typer
from rich.text import Text

from penstock.accounts import allowances, api_keys, emails, people, sessions
from penstock.accounts import passwords as password_rules
from penstock.accounts.passwords import Passwords
from penstock.app import migrate
from penstock.app.admin_credits import MAX_GRANT_CREDITS
from penstock.app.databases import open_database, place_of
from penstock.app.folder import DataFolder
from penstock.billing import plans
from penstock.cli.database import folder_of_database
from penstock.cli.output import results, say_problem
from penstock.cli.serve_commands import DataDir, settings_for
from penstock.kit.clock import rfc3339
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem, not_found
from penstock.kit.ids import new_id
from penstock.ledger import service as ledger
from penstock.ledger import statement
from penstock.ledger.service import Grant
from penstock.observability import audit
from penstock.observability.audit import Actor
from penstock.product.loading import load_product
from penstock.product.schema import Product
from penstock.product.versions import load_newest

FAILED = 1
PASSWORD_BYTES = 12
SHOWN_ENTRIES = 20

P = ParamSpec("P")
T = TypeVar("T")
Email = Annotated[str, typer.Argument(help="The account's e-mail address.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    admin = typer.Typer(no_args_is_help=True, help="Administrators.")
    admin.command("create")(create_admin)
    admin.command("limits")(change_limits)
    app.add_typer(admin, name="admin")
    credit = typer.Typer(no_args_is_help=True, help="Customers' credits.")
    credit.command("grant")(grant)
    credit.command("show")(show)
    credit.command("check")(check)
    app.add_typer(credit, name="credits")


def create_admin(
    email: Email,
    file: Annotated[Path | None, typer.Option(help="The product file; needed before the first start only.")] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for a password instead of making one.")] = False,
    data: DataDir = None,
) -> None:
    """Make an administrator, also of an account that is there: with a new password and no old session or API key."""
    address = emails.normalise(email)
    password = _asked_password() if ask else secrets.token_urlsafe(PASSWORD_BYTES)
    password_rules.accept(password, address)
    _, environment = settings_for(data=data)
    product = None if file is None else load_product(file, environment).product
    _in_new_database(data, _make_admin, address, Passwords().hash_now(password), product)
    told = Text.assemble((address, "bold"), " is an administrator now")
    results().print(told if ask else Text.assemble(told, ", with the password ", (password, "bold"), "."))


def change_limits(
    email: Email,
    running: Annotated[int | None, typer.Option(help="Jobs at one time; 0 for the plan's.")] = None,
    jobs_per_hour: Annotated[int | None, typer.Option(help="Jobs in any hour; 0 for the plan's.")] = None,
    jobs_per_day: Annotated[int | None, typer.Option(help="Jobs in any day; 0 for the plan's.")] = None,
    data: DataDir = None,
) -> None:
    """Give one account limits of its own in place of its plan's, and show them."""
    given = {"running": running, "jobs_per_hour": jobs_per_hour, "jobs_per_day": jobs_per_day}
    changes = {name: value or None for name, value in given.items() if value is not None}
    own = _in_database(data, _change_limits, emails.normalise(email), changes)
    told = ", ".join(f"{name} {value}" for name, value in own.items())
    results().print(Text(f"Limits of its own: {told}." if own else "Its plan decides all limits."))


def grant(
    email: Email,
    amount: Annotated[int, typer.Argument(min=1, max=MAX_GRANT_CREDITS, help="How many credits.")],
    reason: Annotated[str, typer.Option(help="Why: the customer reads it beside the credits.")],
    key: Annotated[str | None, typer.Option(help="Your own name for this: given twice, it is granted once.")] = None,
    data: DataDir = None,
) -> None:
    """Give a customer credits. The ledger keeps how many, when, why, and by whom or under which key."""
    if not reason.strip():
        raise Problem("invalid_input", "Say why, in words that the customer may read.")
    given = Grant(amount, "gift", f"operator/{key or _by_whom()}", reason.strip())
    fresh, balance = _in_database(data, _grant, emails.normalise(email), given)
    done = f"Granted {amount} credits." if fresh else f"This was granted before under the key {key}: nothing changed."
    results().print(Text(f"{done} Available: {balance.available}."))


def show(email: Email, data: DataDir = None) -> None:
    """Show a customer's credits and how they came about."""
    balance, entries = _in_database(data, _show, emails.normalise(email))
    console = results()
    console.print(Text(f"{balance.available} available, {balance.held} held, {balance.debt} owed", style="bold"))
    for lot in balance.lots:
        end = "" if lot.expires_at is None else f", until {rfc3339(lot.expires_at)}"
        console.print(Text(f"  {lot.remaining} of {lot.granted} {lot.kind}{end}"))
    for entry in entries:
        job = "" if entry.job_id is None else f"  {entry.job_id}"
        changed = f"{entry.available:+d}" if entry.available else "0"
        console.print(Text(f"{rfc3339(entry.created_at)}  {changed:>6}  {entry.kind:<8} {entry.reason}{job}"))


def check(data: DataDir = None) -> None:
    """Look whether every credit is explained: exit code 1 if not."""
    found = _in_database(data, ledger.violations)
    if found:
        say_problem("\n".join(found))
        raise typer.Exit(FAILED)
    results().print(Text("Every credit is explained.", style="green"))


def _by_whom() -> str:
    return f"{getpass.getuser()}/{new_id('gft')}"


def _asked_password() -> str:
    written: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return written


def _in_database(
    data: Path | None, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run a unit of work in the database that is there. Errors: Problem if there is none, or of another shape."""
    settings, _ = settings_for(data=data)
    folder = folder_of_database(settings)

    async def run() -> T:
        database = await open_database(settings, folder)
        try:
            return await database.write(unit, *args, **kwargs)
        finally:
            await database.close()

    return asyncio.run(run())


def _in_new_database(
    data: Path | None, unit: Callable[Concatenate[Transaction, P], T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Do the same before the first start, too: the database is made where there is none."""
    settings, _ = settings_for(data=data)
    folder = DataFolder(settings.data_dir)
    folder.make()
    place = place_of(settings, folder)
    if migrate.revision_of(place) is None:
        migrate.migrate(place)
    return _in_database(data, unit, *args, **kwargs)


def _make_admin(tx: Transaction, email: str, password_hash: str, given: Product | None) -> None:
    known = people.find(tx, email)
    if known is not None:
        people.set_password(tx, known.id, password_hash)
        sessions.end_all(tx, known.id)
        api_keys.revoke_all(tx, known.id)  # whoever opened the account may be somebody else
        people.set_role(tx, known.id, "admin")
        audit.write(tx, Actor.of_machine(), "account.admin", known.id)
        return
    product = given or load_newest(tx)
    if product is None:
        detail = "No product has been served from this data folder yet. Name the product file with --file."
        raise Problem("unavailable", detail)
    made = people.register(tx, email, password_hash, product.default_plan, role="admin")
    assert made is not None
    audit.write(tx, Actor.of_machine(), "account.admin", made.id)
    plans.begin(tx, product, made.id, made.plan)


def _change_limits(tx: Transaction, email: str, changes: dict[str, int | None]) -> dict[str, int]:
    account_id = _account(tx, email)
    own = allowances.change_limits(tx, account_id, changes)
    if changes:
        details = {"given": changes, "own": own}
        audit.write(tx, Actor.of_machine(), "account.limits", account_id, details=details)
    return own


def _grant(tx: Transaction, email: str, given: Grant) -> tuple[bool, statement.Balance]:
    account_id = _account(tx, email)
    fresh = ledger.grant(tx, account_id, given)
    if not fresh and statement.granted(tx, given.source_key) != (account_id, given.amount, given.reason):
        raise Problem(
            "idempotency_mismatch", "This key was used for another grant before. Use a new one for a new grant."
        )
    if fresh:
        details = {"credits": given.amount, "source": given.source_key}
        audit.write(tx, Actor.of_machine(), "credits.granted", account_id, reason=given.reason, details=details)
    return fresh, statement.balance(tx, account_id)


def _show(tx: Transaction, email: str) -> tuple[statement.Balance, list[statement.Entry]]:
    account_id = _account(tx, email)
    newest = statement.entries(tx, account_id, statement.FIRST_PAGE, SHOWN_ENTRIES)
    return statement.balance_with_lots(tx, account_id), newest


def _account(tx: Transaction, email: str) -> str:
    account = people.find(tx, email)
    if account is None:
        raise not_found(f"account with the address {email}")
    return account.id
