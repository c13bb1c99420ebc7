"""`penstock check`, `schema` and `init`: everything about the product file that needs no server."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from penstock.cli.output import results
from penstock.product.availability import availability
from penstock.product.loading import LoadedProduct, load_product
from penstock.product.mistakes import Mistake, Note, ProductFileError
from penstock.product.reference import json_schema, markdown
from penstock.product.settings import read_environment
from penstock.product.templates import SCHEMA_FILENAME, TEMPLATES, from_template

WRONG_FILE = 2


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(check)
    app.command()(schema)
    app.command()(init)


def check(
    file: Annotated[Path, typer.Argument(help="The product file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Say everything that is wrong with a product file, and what is off and why."""
    environment = read_environment(Path.cwd(), os.environ)
    try:
        loaded = load_product(file, environment)
    except ProductFileError as error:
        _show_mistakes(error, as_json=as_json)
        raise typer.Exit(WRONG_FILE) from error
    if as_json:
        _write_json(file, loaded, (), loaded.notes)
    else:
        _show_product(results(), file, loaded, environment)


def schema(
    tables: Annotated[bool, typer.Option("--markdown", help="Write the keys as tables to read.")] = False,
) -> None:
    """Write the JSON Schema of product files, for editors."""
    typer.echo(markdown() if tables else json.dumps(json_schema(), indent=2), nl=not tables)


def init(
    name: Annotated[str, typer.Argument(help="The product's name: lower-case letters, digits and _.")],
    template: Annotated[str, typer.Option(help=f"What to begin with: {', '.join(TEMPLATES)}.")] = "picture",
) -> None:
    """Write NAME.toml, a product file to begin with, and its schema for editors."""
    text = _template_text(name, template)
    path = Path(f"{name}.toml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise typer.BadParameter(f"{path} is already there and stays as it is. Choose another name.") from None
    except OSError as error:
        raise typer.BadParameter(f"{path} can't be written: {error.strerror}.") from None
    Path(SCHEMA_FILENAME).write_text(json.dumps(json_schema(), indent=2) + "\n", encoding="utf-8")
    console = results()
    console.print(Text(f"Wrote {path}, and {SCHEMA_FILENAME} for your editor."))
    console.print(
        Text.assemble("Next: ", (f"penstock check {path}", "bold"), ", then ", (f"penstock serve {path}", "bold"))
    )


def _template_text(name: str, template: str) -> str:
    try:
        return from_template(template, name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _show_mistakes(error: ProductFileError, *, as_json: bool) -> None:
    if as_json:
        _write_json(Path(error.filename), None, error.mistakes, ())
        return
    console = results()
    for mistake in error.mistakes:
        console.print(_coloured(mistake.render(error.filename), mistake.line, error.filename, "red"))
    count = len(error.mistakes)
    console.print(Text(f"{count} mistake{'' if count == 1 else 's'}.", style="bold red"))


def _show_product(console: Console, file: Path, loaded: LoadedProduct, environment: dict[str, str]) -> None:
    for note in loaded.notes:
        style = "yellow" if note.kind == "warning" else "blue"
        console.print(_coloured(note.render(str(file)), note.line, str(file), style))
    states = availability(loaded.product, environment).operations
    on = [name for name, state in states.items() if state.available]
    summary = f"{file} is right. On: {', '.join(on) or 'nothing'}. Version {loaded.version}."
    console.print(Text(summary, style="green" if on else "yellow"))


def _coloured(text: str, line: int | None, filename: str, style: str) -> Text:
    """Make the place stand out, so that the eye and the terminal's own links find it."""
    place = filename if line is None else f"{filename}:{line}"
    return Text.assemble((place, "bold"), (text.removeprefix(place), style))


def _write_json(
    file: Path, loaded: LoadedProduct | None, mistakes: tuple[Mistake, ...], notes: tuple[Note, ...]
) -> None:
    findings = {
        "file": str(file),
        "ok": loaded is not None,
        "version": None if loaded is None else loaded.version,
        "mistakes": [asdict(mistake) for mistake in mistakes],
        "notes": [asdict(note) for note in notes],
    }
    typer.echo(json.dumps(findings, indent=2, ensure_ascii=False))
