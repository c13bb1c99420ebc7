"""`penstock providers test`: whether keys, models and prices are right, before customers find out."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.text import Text

from penstock.app.provider_trial import Finding, try_providers
from penstock.cli.output import results
from penstock.cli.serve_commands import ProductFile, settings_for
from penstock.product.loading import load_product
from penstock.providers.prices import dollars

FAILED = 1
_COLOURS = {"answers": "green", "off": "blue", "fails": "red"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    providers = typer.Typer(no_args_is_help=True, help="Those who do the work.")
    providers.callback()(_about)
    providers.command("test")(try_out)
    app.add_typer(providers, name="providers")


def try_out(
    file: ProductFile,
    paid: Annotated[
        bool, typer.Option("--paid", help="Also make one small real call to each, which costs money.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Ask every provider for what costs nothing: exit code 1 if one that is on fails."""
    _, environment = settings_for()
    findings = asyncio.run(try_providers(load_product(file, environment).product, environment, paid=paid))
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        _show(findings)
    if any(finding.state == "fails" for finding in findings):
        raise typer.Exit(FAILED)


def _about() -> None:
    """Those who do the work."""


def _show(findings: list[Finding]) -> None:
    console = results()
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        state = Text(f"{finding.state:<7}", style=_COLOURS[finding.state])
        console.print(Text.assemble((f"{finding.name:<{width}}", "bold"), "  ", state, "  ", line_of(finding)))


def line_of(finding: Finding) -> str:
    """Return what was found of a provider in one line."""
    if finding.state != "answers":
        return _sentences(finding.detail, finding.remedy)
    told = [finding.model or "", f"{finding.ms:,} ms", finding.price, finding.detail]
    if finding.call is not None:
        told.append(f"a real call took {finding.call.ms:,} ms and {_cost(finding)}")
    return _sentences("; ".join(filter(None, told)), finding.remedy)


def _cost(finding: Finding) -> str:
    assert finding.call is not None
    if finding.call.cost_microdollars is None:
        return "cost nobody knows what"
    cost = f"cost ${dollars(finding.call.cost_microdollars)}"
    return f"{cost}, as the product file says" if finding.call.cost_estimated else cost


def _sentences(reason: str, remedy: str | None) -> str:
    return f"{reason}." if remedy is None else f"{reason}. {remedy}"
