"""The command `penstock` itself: gathers the commands and turns what goes wrong into plain words and exit codes.

Exit codes: 0 done, 1 the work failed, 2 wrong use or a bad product file. To add commands, write a module with
`register(app)` and name it with them in `COMMANDS`; `Problem`, `ProductFileError` and `SettingsError` may simply be
raised.
"""

import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from penstock.cli.named_product import NAMED_PRODUCT
from penstock.cli.output import say_problem
from penstock.kit.errors import DatabaseUnavailableError, Problem
from penstock.product.mistakes import ProductFileError
from penstock.product.settings import SettingsError

FAILED, WRONG_USE = 1, 2
COMMANDS = {
    **dict.fromkeys(("check", "schema", "init"), "product_commands"),
    **dict.fromkeys(("serve", "worker", "migrate", "openapi"), "serve_commands"),
    "run": "run_command",
    "providers": "provider_commands",
    **dict.fromkeys(("admin", "credits"), "account_commands"),
    "billing": "billing_commands",
    "workers": "worker_commands",
    "jobs": "job_commands",
}
"""Every command and its module. A module is loaded when it is needed: `check` needs no server and no database."""


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


def make_app(wanted: str | None = None) -> typer.Typer:
    """Return the command with everything registered, or with no more than the module of one of its commands.

    Args:
        wanted: a command; with anything else, or nothing, everything is registered.
    """
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
        NAMED_PRODUCT.set(product)

    modules = (COMMANDS[wanted],) if wanted in COMMANDS else dict.fromkeys(COMMANDS.values())
    for module in modules:
        import_module(f"penstock.cli.{module}").register(app)
    return app


def main() -> None:
    """Run `penstock` with the arguments of this process."""
    make_app(*sys.argv[1:2])()
