"""`penstock run`: one job through the whole flow on embedded services, with a progress bar, and its result as files.

It takes the same way as a customer's job (upload, hold, claim, provider, settle with capture), for an account of its
own with just the credits that the job costs; so what works here works in the product, and what it costs is the truth.
"""

import asyncio
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from penstock.app.services import Services
from penstock.app.wiring import open_services
from penstock.cli.output import problems, results, say_problem
from penstock.cli.serve_commands import DataDir, ProductFile, run_async, settings_for
from penstock.jobs import queries
from penstock.jobs.order import Order, read_order
from penstock.jobs.submit import submit
from penstock.kit.database import Row, Transaction
from penstock.kit.errors import Problem
from penstock.kit.ids import new_id
from penstock.ledger import service as ledger
from penstock.ledger.service import Grant
from penstock.media.queries import Variant
from penstock.media.service import extension_of
from penstock.observability.logs import configure_logging
from penstock.product.loading import LoadedProduct, load_product
from penstock.product.prices import price_of
from penstock.product.schema import Product
from penstock.product.schema_work import Input, Operation, Option
from penstock.product.settings import Settings

WRONG_USE = 2
MICRODOLLARS = 1_000_000


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(run)


def run(
    file: ProductFile,
    operation: Annotated[str, typer.Argument(help="An operation of the product, such as `restore`.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Picture files or texts, in their order.")],
    out: Annotated[Path, typer.Option(help="The folder for the result.", file_okay=False)] = Path("out"),
    options: Annotated[
        list[str] | None, typer.Option("--option", "-o", metavar="NAME=VALUE", help="An option of the operation.")
    ] = None,
    plan: Annotated[str | None, typer.Option(help="The plan to run it under; the last one if none is given.")] = None,
    data: DataDir = None,
) -> None:
    """Do one job through the whole flow and write the result."""
    settings, environment = settings_for(data=data)
    loaded = load_product(file, environment)
    configure_logging(settings.log_format, "warning")
    chosen = _chosen(loaded.product, operation)
    given = _named(chosen, inputs)
    values = _read_options(chosen, options or ())
    under = _plan(loaded.product, plan)
    with _data_folder(settings, data) as kept:
        run_async(_run(loaded, kept, environment, _Wish(operation, chosen, given, values, under, out)))


@dataclass(frozen=True)
class _Wish:
    """What was asked for on the command line."""

    name: str
    operation: Operation
    inputs: Mapping[str, str]
    options: Mapping[str, Any]
    plan: str
    out: Path


@contextmanager
def _data_folder(settings: Settings, data: Path | None) -> Iterator[Settings]:
    """Work in the given data folder, or in one that goes when the job is done."""
    if data is not None:
        yield settings
        return
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        yield replace(settings, data_dir=Path(folder))


def _wrong(message: str) -> typer.Exit:
    say_problem(message)
    return typer.Exit(WRONG_USE)


def _chosen(product: Product, name: str) -> Operation:
    operation = product.operations.get(name)
    if operation is None:
        raise _wrong(f"There is no operation “{name}”. There are: {', '.join(product.operations)}.")
    return operation


def _plan(product: Product, name: str | None) -> str:
    if name is not None and name not in product.plans:
        raise _wrong(f"There is no plan “{name}”. There are: {', '.join(product.plans)}.")
    return name or list(product.plans)[-1]


def _named(operation: Operation, inputs: Sequence[str]) -> dict[str, str]:
    """Give the inputs their names, in the order of the product file; pictures must be files."""
    if len(inputs) > len(operation.inputs):
        raise _wrong(f"{operation.title} takes {len(operation.inputs)} inputs, not {len(inputs)}.")
    given = dict(zip(operation.inputs, inputs, strict=False))
    for name, value in given.items():
        if operation.inputs[name].kind == "picture" and not Path(value).is_file():
            raise _wrong(f"{value} is not a file.")
    return given


def _read_options(operation: Operation, written: Sequence[str]) -> dict[str, Any]:
    return dict(_read_option(operation, entry) for entry in written)


def _read_option(operation: Operation, written: str) -> tuple[str, Any]:
    name, separator, value = written.partition("=")
    option = operation.options.get(name)
    if not separator or option is None:
        known = ", ".join(operation.options) or "none"
        raise _wrong(f"“{written}” is not an option: write NAME=VALUE. Options: {known}.")
    return name, _option_value(option, value, written)


def _option_value(option: Option, value: str, written: str) -> Any:
    try:
        match option.kind:
            case "toggle":
                return {"true": True, "on": True, "false": False, "off": False}[value.lower()]
            case "range":
                return float(value)
            case "corners":
                numbers = [float(number) for number in value.split(",")]
                return [[numbers[at], numbers[at + 1]] for at in range(0, 8, 2)]
            case _:
                return value
    except (KeyError, ValueError, IndexError) as error:
        wanted = {"toggle": "on or off", "range": "a number", "corners": "x,y,x,y,x,y,x,y in 0..1"}
        raise _wrong(f"“{written}”: {option.title} takes {wanted[option.kind]}.") from error


async def _run(loaded: LoadedProduct, settings: Settings, environment: dict[str, str], wish: _Wish) -> None:
    await asyncio.to_thread(wish.out.mkdir, parents=True, exist_ok=True)
    async with open_services(settings, loaded, environment) as services:
        account = new_id("acc")
        if price := price_of(wish.operation, wish.options):
            gift = Grant(price, "gift", f"run/{account}", "For this run")
            await services.database.write(ledger.grant, account, gift)
        else:
            await services.database.write(ledger.open_wallet, account)
        order = await _order(services, account, wish)
        job_id = (await submit(services.flow, order)).job_id
        job = await _follow(services, account, job_id, wish.operation.title)
        await _tell(services, account, job, wish)


async def _order(services: Services, account: str, wish: _Wish) -> Order:
    inputs = {
        name: await _input(services, account, wish.operation.inputs[name], value) for name, value in wish.inputs.items()
    }
    return read_order(
        services.product,
        services.flow.providers,
        account_id=account,
        plan=wish.plan,
        visitor=False,
        operation=wish.name,
        inputs=inputs,
        options=wish.options,
        idempotency_key=None,
    )


async def _input(services: Services, account: str, wanted: Input, value: str) -> str:
    if wanted.kind == "text":
        return value
    return (await services.media.take_file(Path(value), account)).id


async def _follow(services: Services, account: str, job_id: str, title: str) -> Row:
    """Show progress until the job has ended; returns its row."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=problems(), transient=True) as bars:
        bar = bars.add_task(f"{title}: queued", total=1.0)
        async for event in services.flow.hub.follow(services.database, account, 0, job_id):
            _show(bars, bar, title, event)
            job = await services.database.read(_job, job_id)
            if job["finished_at"] is not None:
                return job
    raise AssertionError("a job that was accepted ends")


def _show(bars: Progress, bar: TaskID, title: str, event: Mapping[str, Any]) -> None:
    if event["type"] == "job.progress":
        stage = str(event["data"]["stage"])
        bars.update(bar, description=f"{title}: {stage}", completed=event["data"]["progress"] or 0.0)
        if not bars.console.is_terminal:
            bars.console.print(Text(f"{title}: {stage}"))
    elif event["type"] == "job.retrying":
        bars.update(bar, description=f"{title}: trying again")


def _job(tx: Transaction, job_id: str) -> Row:
    row = tx.one(queries.ANY_JOB, id=job_id)
    assert row is not None
    return row


async def _tell(services: Services, account: str, job: Row, wish: _Wish) -> None:
    """Write the result and say what it cost, or say what went wrong."""
    if job["state"] != "succeeded":
        error = json.loads(job["error"] or "{}")
        raise Problem("unavailable", error.get("detail", "The job was stopped. Nothing was charged."))
    written = await _write(services, account, job["result_id"], wish)
    cost, violations = await services.database.read(_cost, job["id"]), await services.database.read(ledger.violations)
    assert not violations, violations
    console = results()
    for path in written:
        console.print(Text(str(path)))
    took = job["finished_at"] - job["created_at"]
    paid = f"{job['price']} credits" + (f", ${cost / MICRODOLLARS:.4f} to the provider" if cost else "")
    console.print(Text(f"{wish.operation.title} by {job['provider']} took {took:.1f} s and cost {paid}.", style="bold"))


async def _write(services: Services, account: str, result_id: str | None, wish: _Wish) -> list[Path]:
    if result_id is None:
        return []
    result = await services.media.result(result_id, account)
    stem = next(
        (Path(value).stem for name, value in wish.inputs.items() if wish.operation.inputs[name].kind == "picture"),
        wish.name,
    )
    written = []
    for variant in result.variants:
        path = wish.out / _file_name(stem, wish.name, variant)
        await services.storage.fetch(variant.key, path)
        written.append(path)
    return written


def _file_name(stem: str, operation: str, variant: Variant) -> str:
    suffix = "" if variant.name in {"full", "svg"} else f"-{variant.name.replace('_', '-')}"
    return f"{stem}-{operation}{suffix}.{extension_of(variant.media_type)}"


def _cost(tx: Transaction, job_id: str) -> int:
    return sum(row["cost_microdollars"] or 0 for row in tx.all(queries.ATTEMPTS, job_id=job_id))
