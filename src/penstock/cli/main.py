"""The command `penstock` itself: gathers the commands and turns what goes wrong into plain words and exit codes.

Exit codes: 0 done, 1 the work failed, 2 wrong use or a bad product file. To add commands, write a module with
`register(app)` and name it in `COMMANDS`; `Problem`, `ProductFileError` and `SettingsError` may simply be raised.
"""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from penstock.cli import (
    account_commands,
    billing_commands,
    job_commands,
    product_commands,
    provider_commands,
    run_command,
    serve_commands,
    worker_commands,
)
from penstock.cli.output import say_problem
from penstock.kit.database import DatabaseUnavailableError
from penstock.kit.errors import Problem
from penstock.product.mistakes import ProductFileError
from penstock.product.settings import SettingsError

FAILED, WRONG_USE = 1, 2
COMMANDS = (
    product_commands,
    serve_commands,
    run_command,
    provider_commands,
    account_commands,
    billing_commands,
    worker_commands,
    job_commands,
)


class Commands(TyperGroup):
    """All commands, with one way of ending when something is wrong."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except (ProductFileError, SettingsError) as error:
            say_problem(str(error))
            raise typer.Exit(WRONG_USE) from error
        except Problem as problem:
            say_problem("\n".join([problem.detail, *(action.label for action in problem.actions)]))
            raise typer.Exit(FAILED) from problem
        except DatabaseUnavailableError as error:
            say_problem(f"The database can't be used: {error}.")
            raise typer.Exit(FAILED) from error


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"penstock {version('penstock')}")
        raise typer.Exit


def make_app() -> typer.Typer:
    """Return the command with everything registered."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="One product file in, a paid AI product out.",
        epilog="Start with: penstock init myproduct",
    )

    @app.callback()
    def options(
        _shown: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and stop.")
        ] = False,
        product: Annotated[
            Path | None,
            typer.Option(help="For commands that take no product file: the one that says where the database is."),
        ] = None,
    ) -> None:
        """One product file in, a paid AI product out."""
        serve_commands.NAMED_PRODUCT.set(product)

    for module in COMMANDS:
        module.register(app)
    return app


def main() -> None:
    """Run `penstock` with the arguments of this process."""
    make_app()()
