"""`penstock serve`, `worker`, `migrate` and `openapi`: the commands that run or describe the server."""

import asyncio
import json
import os
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from rich.text import Text

from penstock.app import migrate as migration
from penstock.app import server
from penstock.app.application import bare_app, create_app
from penstock.app.databases import place_of
from penstock.app.demo import DemoCustomer, demo_customer
from penstock.app.folder import DataFolder
from penstock.app.wiring import open_services
from penstock.cli.named_product import NAMED_PRODUCT
from penstock.cli.output import results
from penstock.kit.postgres_connections import shown
from penstock.observability.logs import configure_logging
from penstock.product.loading import LoadedProduct, load_product
from penstock.product.settings import Settings, at_services, read_environment, read_settings

ProductFile = Annotated[Path, typer.Argument(help="The product file.")]
DataDir = Annotated[
    Path | None, typer.Option("--data", help="The folder for the database and the files.", file_okay=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)
    app.command()(worker)
    app.command()(migrate)
    app.command()(openapi)


def serve(
    file: ProductFile,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="The port; 0: any that is free.")] = None,
    data: DataDir = None,
    demo: Annotated[bool, typer.Option("--demo", help="Make a customer with credits to try it with.")] = False,
    works: Annotated[
        bool, typer.Option("--work/--no-work", help="Run jobs here, or leave them to `penstock worker`.")
    ] = True,
) -> None:
    """Serve a product: its web app, its HTTP interface, and the work itself."""
    settings, environment = settings_for(data=data, host=host, port=port)
    loaded = load_product(file, environment)
    settings = settings_in(settings, loaded)
    configure_logging(settings.log_format, settings.log_level)
    run_async(_serve(file, loaded, settings, environment, demo=demo, works=works))


def worker(file: ProductFile, data: DataDir = None) -> None:
    """Only run jobs, beside servers on the same database: the one in the data folder, or PostgreSQL."""
    settings, environment = settings_for(data=data)
    loaded = load_product(file, environment)
    settings = settings_in(settings, loaded)
    configure_logging(settings.log_format, settings.log_level)
    run_async(_work(loaded, settings, environment))


def migrate(data: DataDir = None) -> None:
    """Bring the database to the shape that this version works with; `serve` does it by itself."""
    settings, _ = settings_for(data=data)
    folder = DataFolder(settings.data_dir)
    folder.make()
    before, after = migration.migrate(place_of(settings, folder))
    changed = "was there already" if before == after else f"from {before or 'nothing'}"
    where = folder.database if settings.database_url is None else shown(settings.database_url)
    results().print(Text(f"{where} has the shape {after} ({changed})."))


def openapi() -> None:
    """Write the description of the HTTP interface (OpenAPI 3.1, JSON)."""
    typer.echo(json.dumps(bare_app().openapi(), indent=2, ensure_ascii=False))


def settings_for(
    *, data: Path | None = None, host: str | None = None, port: int | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return the settings of this process with what was given on the command line, and its environment.

    `penstock --product FILE` names a product file for its `[services]`, where a command takes none by itself.
    """
    environment = read_environment(Path.cwd(), os.environ)
    given = {name: value for name, value in (("data_dir", data), ("host", host), ("port", port)) if value is not None}
    changed: dict[str, Any] = dict(given)
    settings = replace(read_settings(environment), **changed)
    named = NAMED_PRODUCT.get()
    return (settings if named is None else settings_in(settings, load_product(named, environment))), environment


def settings_in(settings: Settings, loaded: LoadedProduct) -> Settings:
    """Return settings with the addresses of services that a product file names."""
    return at_services(settings, loaded.product.services)


def run_async(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the event loop that the server uses."""
    factory = uvicorn.Config("", log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


async def _serve(
    file: Path, loaded: LoadedProduct, settings: Settings, environment: dict[str, str], *, demo: bool, works: bool
) -> None:
    server.allow_many_connections()
    listening = server.listen(settings.host, settings.port)
    with listening:
        async with open_services(settings, loaded, environment, works=works) as services:
            customer = await demo_customer(services) if demo else None

            def announce() -> None:
                _announce(file, loaded, settings.public_url or server.address_of(listening), customer)

            await server.serve(create_app(services), services, listening, announce)


async def _work(loaded: LoadedProduct, settings: Settings, environment: dict[str, str]) -> None:
    async with open_services(settings, loaded, environment) as services:
        title, bounds = loaded.product.brand.title, loaded.product.workers
        slots = bounds.slots if bounds.slots_min is None else f"{bounds.slots_min} to {bounds.slots}"
        said = Text(f"Working for {title} with {slots} slots in {settings.data_dir}. Stop with Ctrl-C.")
        await server.work(services, lambda: results().print(said))


def _announce(file: Path, loaded: LoadedProduct, address: str, customer: DemoCustomer | None) -> None:
    """Say where it is, what is off and why, and how to sign in."""
    console = results()
    console.print(Text.assemble((loaded.product.brand.title, "bold"), " is at ", (address, "bold green")))
    for note in loaded.notes:
        console.print(Text(f"  {note.render(str(file))}", style="yellow" if note.kind == "warning" else "blue"))
    if customer is not None:
        console.print(
            Text.assemble("Sign in as ", (customer.email, "bold"), " with the password ", (customer.password, "bold"))
        )
    console.print(Text("Stop with Ctrl-C."))
